import { test } from 'node:test';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { AzureObjectClient } from '../../src/object/azure/client.ts';
import { azureConfig } from '../../src/object/azure/config.ts';
import { objectSuite } from './object-suite.ts';

const { AZURITE_PORT: port } = process.env;

/** The account that every copy of the emulator has, known to all. */
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

if (port === undefined) test('azure: needs AZURITE_PORT', { skip: true });
else {
  const config = {
    ...defaultsOf(azureConfig),
    containerName: `suite-${process.pid}`,
    accountName: ACCOUNT,
    accountKey: KEY,
    endpoint: `http://127.0.0.1:${port}/${ACCOUNT}`,
  };
  objectSuite({
    name: 'azure',
    async open() {
      const { BlobServiceClient, StorageSharedKeyCredential } = await import('@azure/storage-blob');
      const service = new BlobServiceClient(config.endpoint, new StorageSharedKeyCredential(ACCOUNT, KEY));
      await service.createContainer(config.containerName);
      return AzureObjectClient.open(config, { clock: systemClock });
    },
  });
}
