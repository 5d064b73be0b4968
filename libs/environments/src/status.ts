export const STATUSES = ['creating', 'running', 'stopping', 'stopped', 'starting', 'error', 'deleting'] as const;
export type Status = (typeof STATUSES)[number];
export type DesiredStatus = 'running' | 'stopped' | 'deleted';
