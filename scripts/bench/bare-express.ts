/*
 * The peer of the REST benchmark: the least that does the same database read. Run as a process of its own:
 * MONGODB_URL, DATABASE_NAME, PORT from the environment.
 */
import bcrypt from 'bcrypt';
import express from 'express';
import mongoose from 'mongoose';

async function main(): Promise<void> {
  const connection = await mongoose
    .createConnection(process.env.MONGODB_URL ?? '', { dbName: process.env.DATABASE_NAME ?? 'devpocket' })
    .asPromise();
  const app = express();
  app.use(express.json());
  app.get('/environments/:id', (request, response, next) => {
    connection
      .collection('environments')
      .findOne({ _id: new mongoose.Types.ObjectId(request.params.id) })
      .then((document) => response.json(document), next);
  });
  app.post('/login', (request, response, next) => {
    const { username, password } = request.body as { username: string; password: string };
    connection
      .collection('users')
      .findOne({ username_key: username })
      .then(async (user) => {
        const good = await bcrypt.compare(password, String(user?.password_hash ?? ''));
        response.status(good ? 200 : 401).json({ good });
      })
      .catch(next);
  });
  app.listen(Number(process.env.PORT), '127.0.0.1', () => process.stdout.write('ready\n'));
}

void main();
