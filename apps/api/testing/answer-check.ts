import { type ValidateFunction } from 'ajv';
import { closed, isObject, type Json, withoutReferences } from '../src/documents/json-schema';
import { ajv } from './json-schemas';

/** A call and its answer, as they went over the network. */
export interface Exchange {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** What was sent, as JSON; absent: nothing, or no JSON. */
  readonly sent?: unknown;
  /** Was anything sent? */
  readonly hasBody: boolean;
  readonly status: number;
  readonly header: (name: string) => string | null;
  /** Parsed JSON, or the text of anything else, or null. */
  readonly body: unknown;
}

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly pattern: RegExp;
  readonly json: Json;
}

export interface Verdict {
  /** Null: the document has no such operation. */
  readonly operation: string | null;
  /** What the document does not say, or says otherwise. */
  readonly faults: readonly string[];
}

/** Judges answers by the OpenAPI document: nothing that it does not name may come. */
export class AnswerCheck {
  private readonly operations: readonly Operation[];
  private readonly validators = new Map<string, ValidateFunction>();

  constructor(private readonly document: Json) {
    this.operations = operationsOf(withoutReferences(document, document.paths) as Json);
  }

  find(method: string, url: string): Operation | null {
    const path = url.split('?')[0] ?? '';
    const asked = method === 'HEAD' ? 'GET' : method;
    return this.operations.find((one) => one.method === asked && one.pattern.test(path)) ?? null;
  }

  judge(exchange: Exchange): Verdict {
    const { method, url, status } = exchange;
    // Headers that are too large are refused by Node's own parser, before there is a route.
    if (status === 431 && exchange.body === null) return { operation: null, faults: [] };
    const operation = this.find(method, url);
    if (!operation) {
      // Routes that are none of the API's (pages, metrics) answer as they do; in it an unknown one is a problem.
      const known = method === 'OPTIONS' || !/^\/api\//i.test(url);
      return { operation: null, faults: known ? [] : this.problemFaults(exchange) };
    }
    // A GET has no body by its document: what is answered to one with a body, it does not say.
    if (exchange.hasBody && operation.method === 'GET' && status >= 400)
      return { operation: null, faults: this.problemFaults(exchange) };
    const where = `${method} ${url} → ${status}`;
    return { operation: operation.id, faults: this.faults(operation, exchange).map((fault) => `${where}: ${fault}`) };
  }

  private faults({ id, json }: Operation, exchange: Exchange): readonly string[] {
    const { method, status, header, body } = exchange;
    const answer = (json.responses as Json)[status];
    if (!isObject(answer)) return [`this status is not documented; the body is ${JSON.stringify(body)}`];
    const faults = Object.entries((answer.headers ?? {}) as Readonly<Record<string, Json>>).flatMap(
      ([name, { required, schema }]) => {
        const value = header(name);
        if (value === null) return required === true || name === 'X-Request-Id' ? [`it lacks the header ${name}`] : [];
        const read = isObject(schema) && schema.type === 'integer' ? Number(value) : value;
        return this.valid(`${id} ${status} ${name}`, schema, read);
      },
    );
    const [[type, media] = []] = Object.entries((answer.content ?? {}) as Json);
    const told = (header('content-type') ?? '').split(';')[0] ?? '';
    if (method === 'HEAD') return faults;
    if (type === undefined) {
      // A redirect's short note is for clients that do not follow it (RFC 9110 §15.4.3).
      if (body !== null && !(status >= 300 && status < 400)) faults.push(`it has a body: ${JSON.stringify(body)}`);
    } else if (told !== type) {
      faults.push(`its type is ${told}, and not ${type}`);
    } else if (isObject(media) && type.endsWith('json')) {
      faults.push(...this.valid(`${id} ${status}`, closed(media.schema), body));
    }
    if (status < 300) faults.push(...this.requestFaults(id, json, exchange));
    return faults;
  }

  /** What was taken has to be allowed. */
  private requestFaults(id: string, json: Json, { url, sent, hasBody }: Exchange): readonly string[] {
    const { requestBody, parameters } = json;
    const faults: string[] = [];
    if (isObject(requestBody) && isObject(requestBody.content)) {
      const media = requestBody.content['application/json'];
      if (isObject(media)) faults.push(...this.valid(`${id} body`, media.schema, hasBody ? sent : {}));
    }
    const query = new URLSearchParams(url.split('?')[1] ?? '');
    for (const { in: place, name, schema } of Array.isArray(parameters) ? (parameters as Json[]) : []) {
      const text = place === 'query' ? query.get(String(name)) : null;
      if (text === null || !isObject(schema)) continue;
      faults.push(...this.valid(`${id} ?${String(name)}`, schema, schema.type === 'integer' ? Number(text) : text));
    }
    return faults.map((fault) => `it was taken, but ${fault}`);
  }

  private problemFaults({ method, url, status, body, header }: Exchange): readonly string[] {
    if (method === 'HEAD') return [];
    const told = header('content-type')?.split(';')[0];
    const schema = withoutReferences(this.document, { $ref: '#/components/schemas/Problem' });
    const faults = status >= 400 && told === 'application/problem+json' ? this.valid('problem', schema, body) : ['not a problem'];
    return faults.map((fault) => `${method} ${url} → ${status}: ${fault}`);
  }

  /** @param name of the schema, which is compiled once */
  private valid(name: string, schema: unknown, value: unknown): string[] {
    const validate = this.validators.get(name) ?? ajv.compile(schema as object);
    this.validators.set(name, validate);
    return validate(value) ? [] : [`${name}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)?.slice(0, 500)}`];
  }
}

/** Those without parameters first: `/users/me` is not `/users/{id}`. */
function operationsOf(paths: Json): readonly Operation[] {
  const found = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item as Json).map(([method, json]) => ({
      id: String((json as Json).operationId),
      method: method.toUpperCase(),
      // Express minds neither case nor a slash at the end.
      pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}/?$`, 'i'),
      json: json as Json,
      holes: path.split('{').length,
    })),
  );
  return found.sort((a, b) => a.holes - b.holes);
}
