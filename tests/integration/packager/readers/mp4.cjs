// Each MP4 named on the command line, as GPAC's mp4box.js reads it, with the NAL unit types of its pictures' own bytes.
const fs = require('fs');
const { createFile, Log } = require('mp4box');

const faults = [];
console.warn = console.error = (...words) => {
  const text = words.join(' ');
  if (!text.includes('box writing not yet implemented')) faults.push(text); // about its writer, not about our file
};
Log.setLogLevel(Log.warn);

function nalTypes(bytes, sample) {
  const types = [];
  for (let at = sample.offset; at < sample.offset + sample.size; at += 4 + bytes.readUInt32BE(at)) {
    types.push(bytes[at + 4] & 31);
  }
  return types;
}

function track(file, info, bytes) {
  return {
    codec: info.codec,
    type: info.type,
    timescale: info.timescale,
    begins: info.edits ? info.edits[0].media_time : 0, // the edit list takes the encoder's reordering delay off
    width: info.track_width,
    height: info.track_height,
    samples: file.getTrackSamplesInfo(info.id).map((s) => ({
      moof: s.moof_number,
      dts: s.dts,
      cts: s.cts,
      duration: s.duration,
      isSync: s.is_sync,
      nal: info.type === 'video' ? nalTypes(bytes, s) : [],
    })),
  };
}

const report = {};
for (const path of process.argv.slice(2)) {
  const bytes = fs.readFileSync(path);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  buffer.fileStart = 0;
  const file = createFile();
  let info;
  file.onReady = (found) => (info = found);
  file.onError = (module, message) => faults.push(`${module}: ${message}`);
  file.appendBuffer(buffer, true);
  file.flush();
  const sidx = file.boxes.find((box) => box.type === 'sidx');
  report[path.split('/').pop()] = {
    isFragmented: info.isFragmented,
    boxes: file.boxes.map((box) => [box.type, box.start, box.size]),
    index: sidx.references.map((r) => [r.referenced_size, r.subsegment_duration / sidx.timescale, r.starts_with_SAP]),
    indexEnd: sidx.start + sidx.size + sidx.first_offset,
    tracks: info.tracks.map((found) => track(file, found, bytes)),
  };
}
console.log(JSON.stringify({ files: report, faults }, (key, value) => (typeof value === 'bigint' ? Number(value) : value)));
