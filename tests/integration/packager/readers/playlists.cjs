// Each playlist named on the command line, as hls-parser (strict) and m3u8-parser read it. JSON on stdout.
const fs = require('fs');
const HLS = require('hls-parser');
const { Parser } = require('m3u8-parser');

HLS.setOptions({ strictMode: true });
const report = {};
for (const file of process.argv.slice(2)) {
  const text = fs.readFileSync(file, 'utf8');
  const strict = HLS.parse(text);
  const warnings = [];
  const parser = new Parser();
  parser.on('warn', (event) => warnings.push(event.message));
  parser.push(text);
  parser.end();
  const other = parser.manifest;
  report[file.split('/').pop()] = {
    isMaster: strict.isMasterPlaylist,
    variants: (strict.variants || []).filter((v) => !v.isIFrameOnly).map((v) => [v.uri, v.bandwidth, v.codecs]),
    segments: (strict.segments || []).map((s) => [s.byterange.offset, s.byterange.length, s.duration]),
    otherSegments: (other.segments || []).map((s) => [s.byterange.offset, s.byterange.length, s.duration]),
    otherVariants: (other.playlists || []).map((p) => [p.uri, p.attributes.BANDWIDTH, p.attributes.CODECS]),
    averages: (strict.variants || []).filter((v) => !v.isIFrameOnly).map((v) => v.averageBandwidth),
    resolutions: (strict.variants || [])
      .filter((v) => !v.isIFrameOnly)
      .map((v) => [v.resolution.width, v.resolution.height]),
    warnings,
  };
}
console.log(JSON.stringify(report));
