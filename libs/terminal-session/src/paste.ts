/**
 * What of a clipboard may reach a program (as xterm's `disallowedPasteControls`, and stricter): a pasted text types characters and
 * new lines, it never presses keys. So it cannot end the brackets around it, interrupt, suspend or move.
 */

export const PASTE_BEGIN = '\x1b[200~';
export const PASTE_END = '\x1b[201~';

/** The end marker, with CSI as ESC [ or as its C1 form, in which it arrives as the character U+009B. */
const END_MARKERS = [PASTE_END, '\u009b201~'].map((marker) => Uint16Array.from(marker, (c) => c.charCodeAt(0)));
const TILDE = 0x7e;

/**
 * End markers are removed, also those that only their removal makes; line ends become CR, as the Enter key; every other control
 * character but a tab becomes a space.
 */
export function cleanPaste(data: string): string {
  return withoutEndMarkers(data)
    .replace(/\r?\n/g, '\r')
    .replace(/(?![\t\r])\p{Cc}/gu, ' ');
}

/** In one pass, whatever it is made of: what is cut out lies at the end of what is kept so far. */
function withoutEndMarkers(data: string): string {
  if (!data.includes('201~')) return data;
  const kept = new Uint16Array(data.length);
  let length = 0;
  for (let at = 0; at < data.length; at += 1) {
    const unit = data.charCodeAt(at);
    kept[length] = unit;
    length += 1;
    if (unit !== TILDE) continue;
    const end = length;
    const marker = END_MARKERS.find((units) => units.every((one, i) => kept[end - units.length + i] === one));
    length -= marker?.length ?? 0;
  }
  return Buffer.from(kept.buffer, 0, 2 * length).toString('utf16le');
}
