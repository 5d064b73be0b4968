/** Of a frame on a terminal's socket (contract §6). */
export const TERMINAL_FRAME_BYTES = 8 * 1_048_576;

/**
 * For clients that ask for it, over slow links; a compressor costs CPU and memory. This one has 4 KiB of past and 48 KiB in all (zlib:
 * 2^(windowBits + 2) + 2^(memLevel + 9)) and comes with the first frame that is worth it.
 */
export const DEFLATE = { serverMaxWindowBits: 12, zlibDeflateOptions: { memLevel: 6, level: 3 }, concurrencyLimit: 4 };
