import { type Settings } from '@devpocket/config';
import { NestFactory } from '@nestjs/core';
import { AppModule } from '../app.module';
import { setPrefix } from '../http-edge';
import { asyncApiDocument } from './async-api';
import { openApiDocument } from './open-api';

/** Nothing in the documents depends on settings, and in preview mode nothing is made from them. */
const NO_SETTINGS = {} as Settings;

export interface Documents {
  /** JSON text. */
  readonly openapi: string;
  readonly asyncapi: string;
}

/** The documents as files have them, made without a database and without a runtime. */
export async function exportedDocuments(): Promise<Documents> {
  const made = AppModule.forRoot(NO_SETTINGS, { drivers: () => Promise.resolve([]), inspector: null });
  const app = await NestFactory.create(made, { preview: true, logger: false, abortOnError: false });
  setPrefix(app);
  return { openapi: written(openApiDocument(app)), asyncapi: written(asyncApiDocument()) };
}

const written = (document: object): string => `${JSON.stringify(document, null, 2)}\n`;
