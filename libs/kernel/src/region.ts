/** Where a user would like environments to be (contract §5). */
export const REGIONS = ['us-east', 'us-west', 'eu-central', 'asia-pacific'] as const;
export type Region = (typeof REGIONS)[number];
