/** Settings of a listener for other processes without key and certificates, for tests. */
export const NO_CREDENTIALS = {
  peerKeyFile: '',
  peerTlsCertPath: '',
  peerTlsKeyPath: '',
  peerTlsCaPath: '',
  peerTlsServerName: '',
  peerInsecure: false,
};
