import type { KafkaServer } from '../../test/support/kafka-server.ts';
import type { LoadCluster } from './load-cluster.ts';
import type { LoadFault } from './load-options.ts';
import type { LoadRedis } from './load-redis.ts';

const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
/** Past the session of a worker, the lease of an ingest, and what Sentinels wait for. */
const [frozenWorkerMs, frozenIngestMs, frozenRedisMs] = [3_000, 4_000, 8_000];
/** An outage is past everything that a client tries before it gives up. */
const brokerAwayMs = { 'broker-restart': 1_000, 'broker-outage': 60_000 };

export interface FaultStage {
  readonly server: KafkaServer;
  readonly redis: LoadRedis | undefined;
  readonly cluster: LoadCluster;
  readonly workersPerProcess: number;
  /** What was done, at the moment of it. */
  readonly note: (text: string) => void;
}

/** Does it, and puts another in the place of what it took. */
export async function harm(fault: LoadFault, stage: FaultStage): Promise<void> {
  const { server, redis, cluster, workersPerProcess, note } = stage;
  const worker = cluster.workers.find(({ ended }) => !ended);
  switch (fault) {
    case 'kill-worker':
    case 'stop-worker':
      worker?.signal(fault === 'kill-worker' ? 'SIGKILL' : 'SIGTERM');
      note(`${fault}: ${worker?.name ?? ''}`);
      await cluster.startWorkers(workersPerProcess);
      note('another worker is ready');
      return;
    case 'freeze-worker':
      worker?.signal('SIGSTOP');
      note(`freeze-worker: ${worker?.name ?? ''}`);
      await pause(frozenWorkerMs);
      worker?.signal('SIGCONT');
      note('the worker is thawed');
      await cluster.startWorkers(workersPerProcess);
      return;
    case 'kill-ingest': {
      const ingest = cluster.ingests.find(({ ended }) => !ended);
      ingest?.signal('SIGKILL');
      note(`kill-ingest: ${ingest?.name ?? ''}`);
      // The others have to take its cameras over: nobody comes in its place.
      return;
    }
    case 'freeze-ingest': {
      const ingest = cluster.ingests.find(({ ended }) => !ended);
      ingest?.signal('SIGSTOP');
      note(`freeze-ingest: ${ingest?.name ?? ''}`);
      await pause(frozenIngestMs);
      ingest?.signal('SIGCONT');
      note('the ingest is thawed');
      return;
    }
    case 'redis-freeze':
      redis?.primary.freeze();
      note('redis-freeze: the primary stands still');
      await pause(frozenRedisMs);
      redis?.primary.thaw();
      note('the former primary goes on');
      return;
    case 'redis-kill':
      await redis?.primary.kill();
      note('redis-kill: the primary is gone');
      return;
    case 'broker-restart':
    case 'broker-outage':
      await server.nodes[0]?.kill();
      note(`${fault}: killed`);
      await pause(brokerAwayMs[fault]);
      await server.nodes[0]?.restart();
      note('the broker is back');
  }
}
