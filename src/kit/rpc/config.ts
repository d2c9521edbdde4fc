import { text, toggle } from '../config/field.ts';

/** Settings of how processes of a cluster know each other: to stand in a section of flags `-server.…`; read by `PeerCredentials`. */
export const peerSecurityFields = {
  peerKeyFile: text({
    valueWanted: true,
    help: 'File with the key that all processes of a cluster share, of at least 32 characters; it never goes over the wire. Further lines are keys that are taken, too, while the first is being changed. Read again when it changes.',
  }),
  peerTlsCertPath: text({
    valueWanted: true,
    help: 'Certificate chain in PEM that this process shows to others of the cluster, as caller and as listener. Read again when it changes, as key and authorities are.',
  }),
  peerTlsKeyPath: text({ valueWanted: true, help: 'Its private key in PEM.' }),
  peerTlsCaPath: text({
    valueWanted: true,
    help: "Authorities in PEM that the others' certificates must be signed by.",
  }),
  peerTlsServerName: text({
    help: 'Name that certificates of listeners are for. Empty: the host of their advertised address.',
  }),
  peerInsecure: toggle({
    default: false,
    help: 'Processes of the cluster talk to whoever connects, with neither key nor certificates. Only where the network lets nobody else in; on loopback it is not needed.',
  }),
};
