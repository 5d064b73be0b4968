export { BUILTIN_TEMPLATES } from './builtin-templates';
export * from './template';
export { parseTemplates } from './template-file';
export * from './templates.module';
export * from './templates.service';
