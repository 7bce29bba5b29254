import manifest from '../../../package.json' with { type: 'json' };

/** Version of Sightline as package.json has it. */
export const packageVersion: string = manifest.version;
