import { DataFolder } from '../data-folder.ts';
import type { Module } from './module.ts';

/** The folder for everything on this machine, and this process' hold on it. */
export const dataFolderModule: Module = {
  needs: [],
  build(app) {
    const { config, version, clock, log } = app;
    const folder = DataFolder.of(config.data.dir, version, clock, {
      say: (text) => log.warn(text),
      onLost({ message }) {
        log.error(`${message}; ending`);
        process.exitCode = 1;
        process.kill(process.pid, 'SIGTERM');
      },
    });
    app.parts.hold = folder.hold;
    return [folder];
  },
};
