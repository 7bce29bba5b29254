"""An RTSP server (GStreamer's) that serves clips as live cameras, for the tests.

    rtsp-server.py '{"mounts": {"/live": "clip.mp4"}, "user": null, "password": null, ...}'

Prints one line of JSON with the port when it listens. Ends when its standard input ends, so it cannot outlive the test.
Each viewer gets the clip from its first frame, paced by its timestamps, and again from the start at its end (unless "loop" is
false). No encoder takes part: the packets of the file are sent as they are.
"""
import ctypes
import json
import signal
import subprocess
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PAYLOADERS = {
    "h264": "h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "hevc": "h265parse config-interval=-1 ! rtph265pay name=pay0 pt=96 config-interval=-1",
    "mjpeg": "jpegparse ! rtpjpegpay name=pay0 pt=26",
}
AUDIO_PAYLOADER = "audiotestsrc is-live=true wave=silence ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay{} pt=8"
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def codec_of(clip):
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=codec_name", "-of", "csv=p=0", clip]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().split(",")[0]


class ClipFactory(GstRtspServer.RTSPMediaFactory):
    def __init__(self, clip, loop, with_audio):
        super().__init__()
        self.clip = clip
        self.codec = codec_of(clip)
        self.loop = loop
        self.with_audio = with_audio

    def do_create_element(self, _url):
        # ffmpeg repeats the clip with timestamps that go on; GStreamer's own looping starts them over.
        command = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1" if self.loop else "0", "-i", self.clip]
        command += ["-map", "0:v:0", "-c", "copy", "-f", "matroska", "-live", "1", "-flush_packets", "1", "pipe:1"]
        feeder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        feeders.append(feeder)
        audio = AUDIO_PAYLOADER.format(1) if self.with_audio else ""
        element = Gst.parse_launch(
            f"( fdsrc fd={feeder.stdout.fileno()} ! matroskademux ! queue ! {PAYLOADERS[self.codec]} {audio} )"
        )
        element.feeder = feeder
        return element

    def do_configure(self, media):
        GstRtspServer.RTSPMediaFactory.do_configure(self, media)
        feeder = media.get_element().feeder
        media.connect("unprepared", lambda _media: end_feeder(feeder))


feeders = []


def end_feeder(feeder):
    feeder.kill()
    feeder.stdout.close()
    feeder.wait()


def main():
    options = json.loads(sys.argv[1])
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options.get("port", 0)))
    user, password = options.get("user"), options.get("password")
    certificate = options.get("certificateFile")
    if user is not None or certificate is not None:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
        if user is not None:
            if options.get("auth") == "basic":
                auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
                auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
            else:
                auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
                auth.add_digest(user, password, token)
        else:
            auth.set_default_token(token)
        if certificate is not None:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(certificate, options["keyFile"]))
        server.set_auth(auth)
    mounts = server.get_mount_points()
    for path, clip in options["mounts"].items():
        factory = ClipFactory(clip, options.get("loop", True), options.get("audio", False))
        factory.set_shared(False)
        if user is not None or certificate is not None:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("viewer", "media.factory.access", True)
            permissions.add_permission_for_role("viewer", "media.factory.construct", True)
            factory.set_permissions(permissions)
        mounts.add_factory(path, factory)
    if server.attach(None) == 0:
        sys.exit("the RTSP server could not be started")
    loop = GLib.MainLoop()

    def wait_for_end_of_input():
        sys.stdin.buffer.read()
        GLib.idle_add(loop.quit)

    threading.Thread(target=wait_for_end_of_input, daemon=True).start()
    print(json.dumps({"port": server.get_bound_port()}), flush=True)
    loop.run()
    for feeder in feeders:
        feeder.kill()


main()
