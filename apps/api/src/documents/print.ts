import { exportedDocuments } from './documents';

// A process of its own, which the command line starts: one app does not open another's door.
exportedDocuments().then(
  (documents) => process.stdout.write(JSON.stringify(documents)),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  },
);
