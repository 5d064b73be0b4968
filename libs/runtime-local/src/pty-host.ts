/*
 * The process that holds the shells: small, so that forks are fast whatever the server weighs, and apart, so that they outlive
 * it. This one leaves their sessions to the server.
 */
import { runHost } from './host';

runHost(process.argv.slice(2), null);
