import { Ajv2020 } from 'ajv/dist/2020';
import formats from 'ajv-formats';

/** JSON Schema 2020-12, as OpenAPI 3.1 and AsyncAPI 3 have it. */
export const ajv = new Ajv2020({ strict: false });
formats(ajv);
