/** Where programs of this machine are looked for: no setting of ours, and all that child processes get of our environment. */
export const SEARCH_PATH = process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin';
