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
  SIGHTLINE_YAML_INVALID: {
    exitCode: 2,
    summary: 'A YAML file cannot be read: wrong syntax, a repeated key, too many aliases, or too large.',
    action: 'Correct the line that the message names.',
  },
  SIGHTLINE_PORT_UNAVAILABLE: {
    exitCode: 4,
    summary: 'The HTTP port for health and metrics cannot be opened.',
    action: 'Choose a free port with --http-port, or 0 to have one chosen.',
  },
  SIGHTLINE_SHUTDOWN_INCOMPLETE: {
    exitCode: 70,
    summary: 'Work under way did not end within the time allowed for stopping.',
    action: 'Look at the log for what was being waited for; records of the last seconds may be missing.',
  },
  SIGHTLINE_BUS_CLOSED: {
    exitCode: 70,
    summary: 'A message was offered to the bus after it was closed.',
    action: 'Report it with the log lines before it: a service went on after its shutdown.',
  },
  SIGHTLINE_SUMMARY_UNWRITABLE: {
    exitCode: 4,
    summary: 'The summary of a run could not be written.',
    action:
      'Give --summary a file in a directory that exists and may be written to. The results themselves were written.',
  },
  SIGHTLINE_DEMO_UNAVAILABLE: {
    exitCode: 4,
    summary: 'The demo has no picture to show.',
    action: 'Name a clip with SIGHTLINE_DEMO_CLIP=FILE, or give a camera: npm start -- --camera NAME=URL.',
  },
  SIGHTLINE_CAMERA_AUTH: {
    exitCode: 3,
    summary: 'The camera refused the user name or password.',
    action:
      'Check user and password at the camera, and that the account may view the stream. They go into the fields of the page, the URL, or SIGHTLINE_CAMERA_PASSWORD.',
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
    action:
      'Check that the port is the RTSP port of the camera; try the other transport (tcp or udp); update its firmware.',
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
    action:
      'Check that the port speaks TLS and the certificate is valid for the host; tlsInsecure accepts a certificate of its own making.',
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
  SIGHTLINE_CAMERA_CHANGED: {
    exitCode: 3,
    summary: 'The registration of the camera was changed by somebody else in the meantime.',
    action: 'Read the registration again and repeat the change on what it says now.',
  },
  SIGHTLINE_CAMERA_EXISTS: {
    exitCode: 3,
    summary: 'A camera of this name is registered already.',
    action: 'Choose another name, or change the camera that is there.',
  },
  SIGHTLINE_CAMERA_UNKNOWN: {
    exitCode: 3,
    summary: 'No camera of this name is registered.',
    action: 'Look at the list of cameras for the name.',
  },
  SIGHTLINE_CAMERA_READ_ONLY: {
    exitCode: 3,
    summary: 'The camera comes from the command line or a settings file and is changed there.',
    action: 'Change it in the file or the flags of the run and start again, or register a camera of another name.',
  },
  SIGHTLINE_SECRET_KEY_INVALID: {
    exitCode: 4,
    summary: 'The key that camera credentials are sealed with cannot be used.',
    action:
      'Give 32 bytes as 64 hex digits or in base64 by SIGHTLINE_SECRET_KEY_FILE or SIGHTLINE_SECRET_KEY; `openssl rand -hex 32` makes some.',
  },
  SIGHTLINE_SECRET_UNREADABLE: {
    exitCode: 3,
    summary: 'Sealed credentials cannot be opened: the key is another one, or they were changed.',
    action: 'Run with the key that they were sealed with, or give the URL of the camera with its credentials again.',
  },
  SIGHTLINE_DISCOVERY_FAILED: {
    exitCode: 4,
    summary: 'The search for cameras could not be sent.',
    action:
      'Run it on a machine (not in a container with a network of its own) that is in the network of the cameras; or give --host.',
  },
  SIGHTLINE_DOWNLOAD_FAILED: {
    exitCode: 4,
    summary: 'A file could not be fetched.',
    action: 'Look at the way to the internet (proxy, firewall), or give the file by hand.',
  },
  SIGHTLINE_FFMPEG_FAILED: {
    exitCode: 70,
    summary: 'ffmpeg ended in the middle of its work.',
    action:
      'Look at the log lines before it (SIGHTLINE_LOG_LEVEL=debug shows what ffmpeg said); memory limits are the usual reason.',
  },
  SIGHTLINE_FFMPEG_MISSING: {
    exitCode: 4,
    summary: 'There is no ffmpeg that Sightline can use on this machine.',
    action: 'Install ffmpeg 4.4 or newer (Debian, Ubuntu: apt-get install ffmpeg), or name one with SIGHTLINE_FFMPEG.',
  },
  SIGHTLINE_FILE_CODEC_UNSUPPORTED: {
    exitCode: 3,
    summary: 'The file holds video in a codec that Sightline does not read.',
    action: 'Convert it, for example: ffmpeg -i FILE -c:v libx264 NEW.mp4.',
  },
  SIGHTLINE_FILE_DAMAGED: {
    exitCode: 3,
    summary: 'Not one picture of the file could be decoded.',
    action:
      'Copy the file anew from where it came; a recording that was cut off may be mended with a tool for its format.',
  },
  SIGHTLINE_FILE_NOT_VIDEO: {
    exitCode: 3,
    summary: 'The file is not a video that Sightline knows.',
    action: 'Give a file in MP4, MOV, Matroska, WebM, AVI, MPEG-TS, FLV or raw H.264, H.265 or MJPEG.',
  },
  SIGHTLINE_FILE_UNREADABLE: {
    exitCode: 3,
    summary: 'The file does not exist or cannot be read.',
    action: 'Check the path and the permissions of the file.',
  },
  SIGHTLINE_STATE_DIR_UNUSABLE: {
    exitCode: 4,
    summary: 'The folder in which Sightline keeps its state cannot be written.',
    action:
      'Name a folder that can be written with SIGHTLINE_STATE_DIR, or mend the permissions of the one in the message.',
  },
  SIGHTLINE_FRAME_SIZE_INVALID: {
    exitCode: 70,
    summary: 'A frame reached inference with a size or an amount of bytes that the model cannot take.',
    action: 'Report it; ingest has to scale to the size that inference asks for.',
  },
  SIGHTLINE_FRAME_UNDECODABLE: {
    exitCode: 3,
    summary: 'The picture of a frame cannot be decoded.',
    action: 'Look at who writes to the frames topic; the frame is told as FAILED and the others go on.',
  },
  SIGHTLINE_INFERENCE_OVERLOADED: {
    exitCode: 70,
    summary: 'More frames were handed to inference than its queue holds.',
    action: 'Give inference more workers, lower --fps, or take a smaller model.',
  },
  SIGHTLINE_INFERENCE_RUN_FAILED: {
    exitCode: 70,
    summary: 'The model failed on a frame.',
    action: 'Run `sightline models verify` on the model; report it if that passes.',
  },
  SIGHTLINE_INFERENCE_STALLED: {
    exitCode: 70,
    summary: 'A run of the model did not come back within its time limit.',
    action:
      'Look for a machine without free CPU or memory; restart the process. Raise the limit for a very slow model.',
  },
  SIGHTLINE_INFERENCE_STOPPED: {
    exitCode: 70,
    summary: 'A frame was handed to inference while it was stopping.',
    action: 'Nothing, where the process was being stopped; else look at the log lines before it.',
  },
  SIGHTLINE_INFERENCE_WORKER_LOST: {
    exitCode: 70,
    summary: 'An inference worker ended unexpectedly.',
    action: 'Look at the log lines before it; the memory limit is the usual reason.',
  },
  SIGHTLINE_KAFKA_AUTH: {
    exitCode: 3,
    summary: 'Kafka refused the user name or password, or the way of signing in.',
    action: 'Check KAFKA_SASL_MECHANISM, the user and the password against those set up on the brokers.',
  },
  SIGHTLINE_KAFKA_FAILED: {
    exitCode: 4,
    summary: 'A request to Kafka failed for a reason that Sightline does not know.',
    action: 'Look at the message and at the log of the broker; the request may work when tried again.',
  },
  SIGHTLINE_KAFKA_FENCED: {
    exitCode: 4,
    summary: 'Another process has taken over the work of this one, which had been silent for too long.',
    action: 'Let the process be restarted; where it happens often, look for a frozen or overloaded machine.',
  },
  SIGHTLINE_KAFKA_MEMBERSHIP_LOST: {
    exitCode: 4,
    summary: 'The consumer group threw this process out because it had been silent for longer than its session.',
    action: 'Let the process be restarted; where it happens often, look for a frozen or overloaded machine.',
  },
  SIGHTLINE_KAFKA_NOT_AUTHORISED: {
    exitCode: 3,
    summary: 'The Kafka user may not do what the service needs.',
    action: 'Grant the right that the message names; docs/kafka.md lists what each service needs.',
  },
  SIGHTLINE_KAFKA_NOT_ENOUGH_REPLICAS: {
    exitCode: 4,
    summary: 'Too few replicas of a partition are in sync to write to it safely.',
    action: 'Bring the missing brokers back; writing goes on by itself.',
  },
  SIGHTLINE_KAFKA_OVERLOADED: {
    exitCode: 4,
    summary: 'More waits to be written to Kafka than memory is set aside for.',
    action: 'Bring Kafka back or give it more room; frames are dropped and counted until then.',
  },
  SIGHTLINE_KAFKA_POSITIONS_UNSTABLE: {
    exitCode: 4,
    summary: 'A transaction that moves the positions of the group has not ended, so nobody can tell where to go on.',
    action:
      'Wait for its time-out (10 s). Where it stays, the broker has lost the end of the transaction, as Kafka 4.3 and 4.4 may (docs/kafka.md, "Which Kafka"): abort it with kafka-transactions.sh.',
  },
  SIGHTLINE_KAFKA_REBALANCED: {
    exitCode: 4,
    summary: 'A position could not be stored because the consumer group was sharing out its partitions anew.',
    action: 'Nothing: the records are read again by whoever has the partition now.',
  },
  SIGHTLINE_KAFKA_RECORD_TOO_LARGE: {
    exitCode: 4,
    summary: 'A record is larger than the topic takes.',
    action: 'Lower the picture size or quality, or raise max.message.bytes of the topic.',
  },
  SIGHTLINE_KAFKA_STALLED: {
    exitCode: 4,
    summary: 'Records wait on the broker and partitions are assigned, but nothing moves.',
    action: 'Let the process be restarted; report it with the log lines before it if it comes back.',
  },
  SIGHTLINE_KAFKA_TLS: {
    exitCode: 3,
    summary: 'The encrypted connection to Kafka could not be made.',
    action:
      'Check that the port speaks TLS, that KAFKA_TLS_CA vouches for its certificate, and that the host name is in it.',
  },
  SIGHTLINE_KAFKA_TOPIC_MISMATCH: {
    exitCode: 3,
    summary: 'A topic exists with other settings than the configured ones.',
    action:
      'Change the setting of the topic or the configuration, whichever is wrong; Sightline changes no existing topic.',
  },
  SIGHTLINE_KAFKA_TOPIC_MISSING: {
    exitCode: 4,
    summary: 'A topic does not exist.',
    action:
      'Check the prefix and the broker in the address; `sightline run --results kafka://…` creates its topics, a reader needs them to be there.',
  },
  SIGHTLINE_KAFKA_UNREACHABLE: {
    exitCode: 4,
    summary: 'No Kafka broker could be reached, or it stopped answering.',
    action: 'Check the addresses of the brokers, that they are up, and that they can be reached from here.',
  },
  SIGHTLINE_KAFKA_URL_INVALID: {
    exitCode: 2,
    summary: 'The kafka:// address could not be understood.',
    action: 'Give kafka://BROKER[,BROKER]/?registry=http://HOST:PORT, in quotes because of the & and the ?.',
  },
  SIGHTLINE_MODEL_CORRUPT: {
    exitCode: 3,
    summary: 'The model file cannot be read as an ONNX model.',
    action: 'Fetch the file again and compare its sha256 with the one of its manifest.',
  },
  SIGHTLINE_MODEL_DIGEST_MISMATCH: {
    exitCode: 3,
    summary: 'The model file is not the one that its manifest names.',
    action: 'Fetch the file again, or correct sha256 in the manifest if the file is meant to have changed.',
  },
  SIGHTLINE_MODEL_DRY_RUN_FAILED: {
    exitCode: 3,
    summary: 'The model loads but a first run of it failed or took too long.',
    action: 'Run `sightline models verify` on it on a quiet machine; take another model if it fails there too.',
  },
  SIGHTLINE_MODEL_MANIFEST_INVALID: {
    exitCode: 3,
    summary: 'A model manifest has a field that is missing, unknown or wrong.',
    action: 'Correct the field that the message names; models/manifest.schema.json describes them all.',
  },
  SIGHTLINE_MODEL_NOT_FOUND: {
    exitCode: 4,
    summary: 'The model, its manifest or its file is not there.',
    action: 'Run `sightline models list` to see what is found and where it was looked for.',
  },
  SIGHTLINE_MODEL_SHAPE_MISMATCH: {
    exitCode: 3,
    summary: 'The inputs or outputs of the model are not those that its manifest describes.',
    action: 'Correct input, outputs, family or labels in the manifest.',
  },
  SIGHTLINE_MODEL_SHAPE_FIXED: {
    exitCode: 3,
    summary:
      'The model cannot be run in the shape of the picture: it is made for one size, or takes pictures pulled to its size.',
    action: 'Leave out --input-shape, and input.resize.shape in the manifest, or set it to fixed.',
  },
  SIGHTLINE_CLIPS_UNUSABLE: {
    exitCode: 3,
    summary: 'The clips to learn from cannot be read, or the teacher sees too little on them.',
    action:
      'Take longer clips, or clips of a busier hour, in which the teacher sees the classes that matter; a better teacher or more frames (--fps) may help.',
  },
  SIGHTLINE_MODEL_UNTRAINABLE: {
    exitCode: 3,
    summary: 'The network of this model cannot be trained or pruned here.',
    action: 'Take sightline-nano or a model of family yolox as the one that learns; any model can be the teacher.',
  },
  SIGHTLINE_MODEL_NOT_BETTER: {
    exitCode: 1,
    summary: 'The model that was made is not better than the one it was made from, so it was not kept.',
    action:
      'The table above says by how much. Give it more time (--minutes), more and longer clips, a better teacher, or another size.',
  },
  SIGHTLINE_MODEL_UNQUANTISABLE: {
    exitCode: 3,
    summary: 'The model cannot be made int8 here; the message says what about it.',
    action:
      'Take another model, or another form of this one: one picture as NCHW float32, convolutions, boxes as its outputs.',
  },
  SIGHTLINE_CONVERSION_REFUSED: {
    exitCode: 1,
    summary:
      'A model was not converted: a step refused it, or the outputs of the two differ by more than is allowed. Nothing was written.',
    action:
      'The message says which. Outputs that differ: compare on pictures like yours (--picture), and look at the figures before you raise --tolerance.',
  },
  SIGHTLINE_CONVERSION_UNCHECKED: {
    exitCode: 0,
    summary:
      'A model was converted and written, but its outputs could not be compared with the original here: only macOS runs Core ML.',
    action: 'Run the same command on a Mac, which compares them, before you rely on the file.',
  },
  SIGHTLINE_PYTHON_TOOL_FAILED: {
    exitCode: 70,
    summary: 'A tool for models ended with a failure that it did not explain.',
    action: 'Report it with the lines that the tool wrote.',
  },
  SIGHTLINE_PYTHON_UNAVAILABLE: {
    exitCode: 4,
    summary: 'A tool for models needs Python 3.10 or later with packages, and these cannot be had.',
    action:
      'Install python3 and python3-venv, and see that pip can reach a package index; the lines above say what failed.',
  },
  SIGHTLINE_MODEL_TOO_LARGE: {
    exitCode: 3,
    summary: 'The model file is larger than the limit.',
    action: 'Take a smaller model, or raise the limit in the settings of inference.',
  },
  SIGHTLINE_MODEL_UNSAFE: {
    exitCode: 3,
    summary: 'The model refers to data outside its file or to operators outside the ONNX standard.',
    action: 'Save the model as one file with standard operators only.',
  },
  SIGHTLINE_MODEL_UNSIGNED: {
    exitCode: 3,
    summary: 'A key for signatures of models is set, and this model has none.',
    action: 'Sign it with `sightline models sign NAME` where the private key is, or take a model that is signed.',
  },
  SIGHTLINE_MODEL_SIGNATURE_INVALID: {
    exitCode: 3,
    summary: 'The signature of the model does not fit its manifest, its file or the key that is set.',
    action: 'Do not run it: fetch it again from where it was signed, or check which key was configured.',
  },
  SIGHTLINE_ROLLOUT_REFUSED: {
    exitCode: 3,
    summary: 'The step makes no sense where the roll-out of models stands now.',
    action: 'Run `sightline models show` to see where it stands.',
  },
  SIGHTLINE_ROLLOUT_CHANGED: {
    exitCode: 3,
    summary: 'Somebody else made a step of the roll-out at the same time.',
    action: 'Look at `sightline models show` and give the command again if it is still wanted.',
  },
  SIGHTLINE_RECORD_UNDECODABLE: {
    exitCode: 3,
    summary: 'A record on a topic cannot be read.',
    action:
      'Find out who wrote it; `sightline dead-letters list` shows its position, `replay` puts it back once it can be read.',
  },
  SIGHTLINE_REGISTRY_INCOMPATIBLE: {
    exitCode: 3,
    summary: 'The schema registry holds another schema under the subject, and the two cannot read each other.',
    action:
      'Use another prefix in --results, or remove the foreign versions from the subject if nobody needs them; every released schema of Sightline fits every other.',
  },
  SIGHTLINE_REGISTRY_REFUSED: {
    exitCode: 3,
    summary: 'The schema registry answered, but not with what was asked for.',
    action:
      "Check the registry's address with its path (Apicurio: /apis/ccompat/v7), and SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD.",
  },
  SIGHTLINE_REGISTRY_SCHEMA_UNKNOWN: {
    exitCode: 3,
    summary: 'A record names a schema id that the registry does not know.',
    action: 'Check that the registry is the one that the record was written with.',
  },
  SIGHTLINE_REGISTRY_UNREACHABLE: {
    exitCode: 4,
    summary: 'The schema registry does not answer.',
    action: 'Check that the registry is up and that its address in --results is right from here.',
  },
  SIGHTLINE_RESULTS_DESTINATION_INVALID: {
    exitCode: 2,
    summary: 'The destination of the results could not be understood.',
    action:
      'Give a file that ends in .avro or .jsonl, a directory (with a / at its end), - for standard output, or kafka://HOST:PORT/?registry=URL.',
  },
  SIGHTLINE_RESULTS_DISK_FULL: {
    exitCode: 4,
    summary: 'Results could not be written because the disk or the quota is full.',
    action:
      'Make room, or choose another place with --results, and start again. What was written before is whole and readable.',
  },
  SIGHTLINE_RESULTS_FOREIGN_FILE: {
    exitCode: 2,
    summary: 'The results file exists already and is not one of ours.',
    action: 'Choose another name with --results, or move the file away.',
  },
  SIGHTLINE_RESULTS_NOT_WRITABLE: {
    exitCode: 4,
    summary: 'A results file cannot be created there.',
    action:
      'Check that the directory exists and that this user may write to it, or choose another place with --results.',
  },
  SIGHTLINE_RESULTS_RECORD_INVALID: {
    exitCode: 70,
    summary: 'A record has a value that its schema does not hold.',
    action: 'Report it with the field that the message names.',
  },
  SIGHTLINE_RESULTS_UNREADABLE: {
    exitCode: 3,
    summary: 'A results file cannot be read.',
    action: 'Check the path, and that the file was written by Sightline.',
  },
  SIGHTLINE_RESULTS_WRITE_FAILED: {
    exitCode: 4,
    summary: 'Results could not be written any more.',
    action:
      'Check that the disk is healthy and the file still in its place; what was written before is whole and readable.',
  },
  SIGHTLINE_API_ANSWER: {
    exitCode: 70,
    summary: 'What answered at the address of the API is not Sightline, or one of another version.',
    action: 'Check --url or SIGHTLINE_API; `curl ADDRESS/healthz` shows who answers there.',
  },
  SIGHTLINE_API_TOKEN_MISSING: {
    exitCode: 2,
    summary: 'The command needs a token, and none was given or found.',
    action:
      'Give one with SIGHTLINE_TOKEN, SIGHTLINE_TOKEN_FILE or --token-file; a `sightline run` of the same user leaves one in its state folder (SIGHTLINE_STATE_DIR).',
  },
  SIGHTLINE_API_UNREACHABLE: {
    exitCode: 4,
    summary: 'Nothing answers at the address of the API.',
    action:
      'Start one with `npm start` (`sightline run --http-port 8080` without a terminal), or name another address with --url or SIGHTLINE_API.',
  },
  SIGHTLINE_AUDIT_BROKEN: {
    exitCode: 1,
    summary: 'The audit log is not as it was written.',
    action: 'Compare it with a backup or an export from the entry that the message names on.',
  },
  SIGHTLINE_CAMERA_FROM_FILE: {
    exitCode: 2,
    summary: 'The camera comes from the settings file or the command line and cannot be changed by the API.',
    action: 'Change it in the settings file and start anew, or register it by the API instead.',
  },
  SIGHTLINE_CAMERA_NOT_USABLE: {
    exitCode: 3,
    summary: 'The camera was tried and cannot be used; it was not saved.',
    action: 'Do what the verdict says, or save it all the same with save_anyway.',
  },
  SIGHTLINE_CAPACITY_EXHAUSTED: {
    exitCode: 3,
    summary: 'The camera would need more processor time than is left; it was not saved.',
    action: 'Lower fps, take a smaller model, switch a camera off, or save it all the same with save_anyway.',
  },
  SIGHTLINE_FORBIDDEN: {
    exitCode: 2,
    summary: 'The token does not allow it.',
    action: 'Use a token of the role that the message names and that covers the camera.',
  },
  SIGHTLINE_IDEMPOTENCY_CONFLICT: {
    exitCode: 2,
    summary: 'The Idempotency-Key was used for another request, or the first request with it is still under way.',
    action: 'Use a new key for a new request; repeat the same one later.',
  },
  SIGHTLINE_NO_PICTURE: {
    exitCode: 4,
    summary: 'No picture of the camera came in time.',
    action: 'Look at the status of the camera; it says why.',
  },
  SIGHTLINE_NOT_FOUND: {
    exitCode: 2,
    summary: 'There is nothing at that address.',
    action: 'Look at /docs for what there is.',
  },
  SIGHTLINE_RATE_LIMITED: {
    exitCode: 4,
    summary: 'Too many requests in a short time, or too many streams at once.',
    action: 'Wait for as long as Retry-After says.',
  },
  SIGHTLINE_REQUEST_INVALID: {
    exitCode: 2,
    summary: 'The request has a part that is missing, unknown or wrong.',
    action: 'Correct the parts that `errors` names; /docs describes them.',
  },
  SIGHTLINE_REQUEST_TOO_LARGE: {
    exitCode: 2,
    summary: 'The body of the request is too large.',
    action: 'Send it in smaller parts.',
  },
  SIGHTLINE_TOKEN_UNKNOWN: {
    exitCode: 2,
    summary: 'There is no such token.',
    action: 'Look at the list of tokens.',
  },
  SIGHTLINE_UNAUTHENTICATED: {
    exitCode: 2,
    summary: 'The request has no token, or one that is not valid.',
    action: 'Send `Authorization: Bearer TOKEN`; an administrator makes tokens.',
  },
  SIGHTLINE_JWT_INVALID: {
    exitCode: 2,
    summary: 'The JWT is not one that is taken here.',
    action:
      'Get a token of the configured issuer, for the configured audience; `oidc` in the settings of the API names both.',
  },
  SIGHTLINE_JWT_EXPIRED: {
    exitCode: 2,
    summary: 'The JWT has expired.',
    action: 'Get a new one from the issuer; where it is new, compare the clocks of issuer and API.',
  },
  SIGHTLINE_JWT_NO_ROLE: {
    exitCode: 2,
    summary: 'The JWT is valid, and gives no role here.',
    action: 'Have one of the groups or roles of `oidc.roles` given to this user by the issuer.',
  },
  SIGHTLINE_IDENTITY_UNREACHABLE: {
    exitCode: 4,
    summary: 'The keys of the issuer of JWTs could not be fetched yet.',
    action:
      "Check `oidc.issuer` and `oidc.jwks_url`, and that the issuer can be reached from the API; the API's own tokens work meanwhile.",
  },
  SIGHTLINE_INTERNAL: {
    exitCode: 70,
    summary: 'Something failed that Sightline does not foresee.',
    action: 'Report it with the message and the log lines before it.',
  },
} as const satisfies Record<string, ErrorEntry>;

/** What is known of one error code. Exit codes: 1 the check failed, 2 wrong use, 3 input not usable, 4 a needed thing is missing here, 70 a fault of ours. */
export interface ErrorEntry {
  readonly exitCode: 0 | 1 | 2 | 3 | 4 | 70;
  readonly summary: string;
  readonly action: string;
}

export type ErrorCode = keyof typeof errorCatalogue;
