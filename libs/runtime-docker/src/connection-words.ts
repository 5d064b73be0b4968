import { type EngineAddress } from './engine-address';

/** Of Node and of OpenSSL ("X509_verify_cert", "SSL_get_error"): the certificate of the other side is not signed by who is trusted. */
const NOT_TRUSTED = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

/** Why there is no connection, in an operator's words. */
export function wordsOf(error: Error & { readonly code?: unknown }, address: EngineAddress): string {
  const { message } = error;
  const code = typeof error.code === 'string' ? error.code : '';
  const at = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return `nothing listens at ${at} (${message})`;
  if (code === 'EACCES' || code === 'EPERM')
    return `this user may not open ${at}: let it into the group that owns the socket (${message})`;
  if (address.kind === 'unix' || !address.tls) return message;
  if (NOT_TRUSTED.has(code))
    return `the certificate of the engine at ${at} is not signed by the ca.pem in DOCKER_CERT_PATH (${message})`;
  if (/wrong version number/i.test(message))
    return `the engine at ${at} does not speak TLS there, which DOCKER_TLS_VERIFY or https:// asks for`;
  if (/alert (bad certificate|certificate required|unknown ca|certificate unknown|access denied)/i.test(message))
    return `the engine at ${at} refuses the certificate in DOCKER_CERT_PATH (${message.trim()})`;
  // Node's own word for a connection that ended after the handshake, as an engine does that has seen the certificate.
  if (code === 'ECONNRESET')
    return `the connection to ${at} was cut off; an engine that refuses the certificate in DOCKER_CERT_PATH does so, too (${message})`;
  return message;
}
