import { endOf } from './exec-stream';

describe('the end of a program', () => {
  it.each([
    ['{"metadata":{},"status":"Success"}', { kind: 'ended', code: 0, message: null }],
    [
      '{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"5"}]}}',
      { kind: 'ended', code: 5, message: 'command terminated with non-zero exit code' },
    ],
    [
      '{"metadata":{},"status":"Failure","message":"error executing command in container: container not found","reason":"InternalError"}',
      { kind: 'broken', message: 'error executing command in container: container not found' },
    ],
    ['{"status":"Failure"}', { kind: 'broken', message: 'The program could not be run' }],
    ['nothing', { kind: 'broken', message: 'The end of the program was not readable' }],
  ])('is read from %s', (text, end) => {
    expect(endOf(text)).toEqual(end);
  });
});
