/** A device that answered the search for cameras; nothing in here was checked with the device itself. */
export interface FoundDevice {
  /** Where the answer came from. */
  readonly address: string;
  /** Of its ONVIF service at that address. */
  readonly port: number;
  readonly path: string;
  /** Its own name for itself; the same over all its addresses. */
  readonly urn: string;
  readonly name: string | null;
  readonly hardware: string | null;
  readonly location: string | null;
}

/** A stream that a device offers. */
export interface OnvifProfile {
  readonly token: string;
  readonly name: string;
  /** As the device gives it, without credentials. */
  readonly url: string;
  readonly codec: string | null;
  readonly width_px: number | null;
  readonly height_px: number | null;
  readonly fps: number | null;
}

export interface OnvifDevice {
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly firmware: string | null;
  readonly profiles: readonly OnvifProfile[];
}
