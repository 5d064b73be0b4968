import { type DatabaseSettings } from '@devpocket/config';
import { openDatabase, type OpenDatabase } from '@devpocket/database';
import { Logger } from '@nestjs/common';
import mongoose from 'mongoose';

/** Runs `work` on the database without a look at its shape: for what must also work on one of another version, or a half restored one. */
export async function withDatabase<T>(settings: DatabaseSettings, work: (database: OpenDatabase) => Promise<T>): Promise<T> {
  const handle = await openDatabase(settings, new Logger('Database'), true);
  try {
    const connection = await mongoose.createConnection(handle.url, handle.options).asPromise();
    try {
      return await work({ handle, connection, settings });
    } finally {
      await connection.close();
    }
  } finally {
    await handle.close();
  }
}
