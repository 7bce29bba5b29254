import { useEffect, useRef, useState } from 'preact/hooks';
import { openLive, type LiveFrame } from '../api/live-socket.ts';
import { boxOnPicture, containedIn } from '../core/picture-fit.ts';
import { classColour } from '../core/words.ts';
import type { DetectedObject, FrameResult } from '../core/types.ts';

export interface LivePictureProps {
  readonly cameraId: string;
  readonly label: string;
  readonly fps: number;
  /** False: no connection is held, the last picture stays. */
  readonly active: boolean;
  /** Said over the field while there is no picture. */
  readonly waitingText?: string;
  readonly shows?: (object: DetectedObject) => boolean;
  readonly onResult?: (result: FrameResult) => void;
}

/**
 * The picture and, over it, the boxes of exactly that frame. Both are drawn in one turn of the browser's clock, so no box is ever seen on
 * another picture. A frame that comes while one is being decoded replaces the one that waits: late pictures help nobody.
 */
export function LivePicture(props: LivePictureProps) {
  const { cameraId, label, fps, active } = props;
  const picture = useRef<HTMLCanvasElement>(null);
  const boxes = useRef<HTMLCanvasElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const [state, setState] = useState<'waiting' | 'live' | 'lost'>('waiting');

  useEffect(() => {
    if (!active) return undefined;
    let waiting: LiveFrame | undefined;
    let busy = false;
    let gone = false;

    async function show(frame: LiveFrame): Promise<void> {
      busy = true;
      try {
        const bitmap = await createImageBitmap(frame.jpeg);
        await nextTurn();
        if (!gone) drawFrame(picture.current, boxes.current, bitmap, frame.result, latest.current.shows);
        bitmap.close();
        if (!gone) setState('live');
      } catch {
        // A picture that cannot be decoded is passed over; the next one comes soon.
      } finally {
        busy = false;
      }
      const next = waiting;
      waiting = undefined;
      if (next !== undefined && !gone) await show(next);
    }

    const live = openLive(cameraId, {
      fps,
      onState: (to) => {
        if (to === 'closed') setState('lost');
      },
      onFrame: (frame) => {
        latest.current.onResult?.(frame.result);
        if (busy) waiting = frame;
        else void show(frame); // catches all that it throws
      },
    });
    return () => {
      gone = true;
      live.close();
    };
  }, [cameraId, fps, active]);

  return (
    <div class={`live live-${state}`}>
      <canvas ref={picture} class="live-picture" role="img" aria-label={label} />
      <canvas ref={boxes} class="live-boxes" aria-hidden="true" data-camera={cameraId} />
      {state === 'live' ? null : (
        <span class="live-note">
          {state === 'waiting' ? (props.waitingText ?? 'Waiting for a picture…') : 'No connection; trying again…'}
        </span>
      )}
    </div>
  );
}

function nextTurn(): Promise<void> {
  // A tab that is not looked at gets no turns.
  return document.hidden ? Promise.resolve() : new Promise((resolve) => requestAnimationFrame(() => resolve()));
}

function drawFrame(
  picture: HTMLCanvasElement | null,
  boxes: HTMLCanvasElement | null,
  bitmap: ImageBitmap,
  result: FrameResult,
  shows: LivePictureProps['shows'],
): void {
  const field = boxes?.getBoundingClientRect();
  const picturePen = picture?.getContext('2d');
  const pen = boxes?.getContext('2d');
  if (picture == null || boxes == null || field === undefined || picturePen == null || pen == null) return;
  if (picture.width !== bitmap.width || picture.height !== bitmap.height) {
    picture.width = bitmap.width;
    picture.height = bitmap.height;
  }
  picturePen.drawImage(bitmap, 0, 0);

  // Boxes are drawn in the pixels of the screen: lines stay thin and words sharp however large the picture is.
  const density = window.devicePixelRatio;
  const width = Math.round(field.width * density);
  const height = Math.round(field.height * density);
  if (boxes.width !== width || boxes.height !== height) {
    boxes.width = width;
    boxes.height = height;
  }
  const place = containedIn(bitmap, { width, height });
  pen.clearRect(0, 0, width, height);
  const shown = shows === undefined ? result.objects : result.objects.filter(shows);
  for (const object of shown) drawBox(pen, object, boxOnPicture(object.box, place), density, field.width > 420);
  // What was drawn, for tests and for whoever looks with the browser's tools: the id is that of the record on the topic.
  boxes.dataset['messageId'] = result.messageId;
  boxes.dataset['boxes'] = JSON.stringify(shown.map(({ className, box }) => ({ className, ...box })));
}

function drawBox(
  pen: CanvasRenderingContext2D,
  object: DetectedObject,
  box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
  density: number,
  roomy: boolean,
): void {
  const colour = classColour(object.className);
  pen.lineWidth = (roomy ? 2 : 1.5) * density;
  pen.strokeStyle = colour;
  pen.strokeRect(box.x, box.y, box.width, box.height);
  const size = (roomy ? 13 : 10) * density;
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const words = roomy ? `${object.className} ${Math.round(object.confidence * 100)} %` : object.className;
  const pad = 4 * density;
  const high = size + pad;
  const wide = pen.measureText(words).width + 2 * pad;
  const x = Math.max(0, Math.min(box.x - pen.lineWidth / 2, pen.canvas.width - wide));
  const top = box.y - high;
  const y = top < 0 ? Math.max(0, box.y) : top;
  pen.fillStyle = colour;
  pen.fillRect(x, y, wide, high);
  pen.fillStyle = '#071018';
  pen.textBaseline = 'middle';
  pen.fillText(words, x + pad, y + high / 2 + density / 2);
}
