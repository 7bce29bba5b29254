export interface RedisTlsSettings {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Where the name in the certificate is not the one that is connected to. */
  readonly serverName?: string;
}

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** How Redis is reached. Either `server`, or `sentinels` that know which server is the primary. */
export interface RedisSettings {
  readonly server?: RedisAddress;
  readonly sentinels?: {
    readonly addresses: readonly RedisAddress[];
    readonly master: string;
    readonly password?: string;
  };
  readonly database: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: RedisTlsSettings;
}
