/**
 * Every error code that a user can meet, in one place: docs/errors.md and the exit codes of the command line are held to it by a test.
 * `summary` says what happened, `action` what to do about it.
 */
export const errorCatalogue = {
  SIGHTLINE_USAGE: {
    exitCode: 2,
    summary: 'The command line could not be understood.',
    action: 'Run the command with --help and correct the option that the message names.',
  },
  SIGHTLINE_CONFIG_INVALID: {
    exitCode: 2,
    summary: 'A setting is missing, unknown or has a wrong value.',
    action: 'Correct the setting that the message names in the file, flag or environment variable it came from.',
  },
  SIGHTLINE_BUS_CLOSED: {
    exitCode: 70,
    summary: 'A message was offered to the bus after it was closed.',
    action: 'Report it with the log lines before it: a service went on after its shutdown.',
  },
  SIGHTLINE_DEMO_UNAVAILABLE: {
    exitCode: 4,
    summary: 'The demo has no picture to show.',
    action: 'Name a clip with SIGHTLINE_DEMO_CLIP=FILE, or give a camera: npm start -- --camera NAME=URL.',
  },
  SIGHTLINE_CAMERA_AUTH: {
    exitCode: 3,
    summary: 'The camera refused the user name or password.',
    action: 'Check user and password at the camera, and that the account may view the stream; give them in the URL or by SIGHTLINE_CAMERA_PASSWORD.',
  },
  SIGHTLINE_CAMERA_CODEC_UNSUPPORTED: {
    exitCode: 3,
    summary: 'The camera sends video in a codec that Sightline does not read.',
    action: 'Set the stream to H.264, H.265 or MJPEG in the settings of the camera.',
  },
  SIGHTLINE_CAMERA_DNS: {
    exitCode: 3,
    summary: 'The host name of the camera could not be resolved.',
    action: 'Check the spelling of the host and the name server, or use the IP address of the camera.',
  },
  SIGHTLINE_CAMERA_NOT_ALLOWED: {
    exitCode: 3,
    summary: 'The address of the camera, or one that it redirects to, is not allowed.',
    action: 'Use an address that the policy allows, or have the operator add its range to the allowed ones.',
  },
  SIGHTLINE_CAMERA_NOT_FOUND: {
    exitCode: 3,
    summary: 'The camera does not know the path of the URL.',
    action: 'Look up the path of the stream in the settings or the manual of the camera.',
  },
  SIGHTLINE_CAMERA_NO_VIDEO: {
    exitCode: 3,
    summary: 'The stream has no video.',
    action: 'Use the URL of a stream with video.',
  },
  SIGHTLINE_CAMERA_PROTOCOL: {
    exitCode: 3,
    summary: 'The camera answered something that does not follow RTSP, RTP or HTTP.',
    action: 'Check that the port is the RTSP port of the camera; try the other transport (tcp or udp); update its firmware.',
  },
  SIGHTLINE_CAMERA_REFUSED: {
    exitCode: 3,
    summary: 'Nothing listens at the address and port of the camera.',
    action: 'Check the port (554 is usual), and that RTSP is switched on at the camera.',
  },
  SIGHTLINE_CAMERA_TIMEOUT: {
    exitCode: 3,
    summary: 'The camera did not answer in time.',
    action: 'Check that the camera is on and reachable from here, and that no firewall drops the connection.',
  },
  SIGHTLINE_CAMERA_TLS: {
    exitCode: 3,
    summary: 'The encrypted connection to the camera could not be made.',
    action: 'Check that the port speaks TLS and the certificate is valid for the host; tlsInsecure accepts a certificate of its own making.',
  },
  SIGHTLINE_CAMERA_UNREACHABLE: {
    exitCode: 3,
    summary: 'There is no way to the network of the camera, or the connection was cut.',
    action: 'Check the network, VPN and routes between this machine and the camera.',
  },
  SIGHTLINE_CAMERA_URL_INVALID: {
    exitCode: 2,
    summary: 'The camera URL is not one that Sightline can use.',
    action: 'Write it as rtsp://user:password@host:port/path, with # / ? @ and % in the password percent-encoded.',
  },
  SIGHTLINE_INTERNAL: {
    exitCode: 70,
    summary: 'Something failed that Sightline does not foresee.',
    action: 'Report it with the message and the log lines before it.',
  },
} as const satisfies Record<string, ErrorEntry>;

/** What is known of one error code. Exit codes: 1 the check failed, 2 wrong use, 3 input not usable, 4 a needed thing is missing here, 70 a fault of ours. */
export interface ErrorEntry {
  readonly exitCode: 1 | 2 | 3 | 4 | 70;
  readonly summary: string;
  readonly action: string;
}

export type ErrorCode = keyof typeof errorCatalogue;
