/** `sightline` for docker compose: `results tail`, `verify`, `cat` and `stats` take the installation's topics where no address is given. */
const given = process.argv.slice(2);
const { KAFKA_BROKERS: brokers, SCHEMA_REGISTRY_URL: registry } = process.env;
const isResults = given[0] === 'results' && given.length >= 2;
// Not whatever has a colon or a dot: times and names of cameras, as values of options, have them too.
const isAddress = /^kafka:|[/]|\.(avro|jsonl)$|^-$/;
const hasAddress = given.slice(2).some((word) => (word === '-' || !word.startsWith('-')) && isAddress.test(word));
const address = isResults && !hasAddress ? [`kafka://${brokers}/?registry=${registry}`] : [];
process.argv.splice(2, Infinity, ...given.slice(0, 2), ...address, ...given.slice(2));
await import('../cli/bin.mjs');
