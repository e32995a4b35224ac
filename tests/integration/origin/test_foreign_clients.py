"""Uploads by clients nobody here wrote: tus-js-client under Node, boto3 and curl. tuspy is in test_tus.py."""

from __future__ import annotations

import asyncio
import json
import os
import random
from asyncio.subprocess import PIPE
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from popreel.errors import LauncherError
from popreel.web_build import find_node, run_npm
from tests.media import CACHE
from tests.origin_harness import CLIP, Json, Origin, Person

BIG = CLIP + random.Random(5).randbytes(17 * 1024 * 1024)
_PACKAGE = CACHE.parent / "npm-tus"
_TUS_JS = "tus-js-client@4.3.1"
_SCRIPT = """
const fs = require('fs');
const { PassThrough } = require('stream');
const tus = require('tus-js-client');
const [endpoint, authorization, file, deferred] = process.argv.slice(2);
const data = fs.readFileSync(file);
const common = {
  endpoint, chunkSize: 3_000_000, retryDelays: [0, 100, 1000], headers: { Authorization: authorization },
  metadata: { filename: 'clip.mp4', title: 'by tus-js-client', hashtags: 'tus,js', complete: 'true' },
};
const run = (source, options, stopAt) => new Promise((resolve, reject) => {
  const upload = new tus.Upload(source, {
    ...common, ...options,
    onError: reject,
    onSuccess: () => resolve({ url: upload.url, stopped: false }),
    onChunkComplete: (size, accepted) => {
      if (stopAt && accepted >= stopAt) upload.abort().then(() => resolve({ url: upload.url, stopped: true }), reject);
    },
  });
  upload.start();
});
(async () => {
  const report = {};
  if (deferred === 'deferred') {
    const pipe = fs.createReadStream(file).pipe(new PassThrough()); // of a file it would know the length
    report.finished = await run(pipe, { uploadLengthDeferred: true });
  } else {
    report.interrupted = await run(data, {}, 6_000_000);
    report.finished = await run(data, { uploadUrl: report.interrupted.url });
    const given_up = await run(data, { metadata: { filename: 'x.mp4' } }, 3_000_000);
    await tus.Upload.terminate(given_up.url, common);
    report.terminated = given_up.url;
  }
  console.log(JSON.stringify(report));
})().catch((error) => { console.error(String(error)); process.exit(1); });
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def tus_script() -> Path:
    """The script beside an installed tus-js-client; installed once into the cache."""
    if not (_PACKAGE / "node_modules" / "tus-js-client").is_dir():
        _PACKAGE.mkdir(parents=True, exist_ok=True)
        try:
            run_npm(*find_node(), "install", "--silent", "--no-audit", "--no-fund", _TUS_JS, cwd=_PACKAGE)
        except LauncherError as err:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"the npm registry is out of reach: {err}")
    script = _PACKAGE / "upload.cjs"
    script.write_text(_SCRIPT)
    return script


async def output_of(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(120):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, err.decode()[-2000:]
    return out.decode()


def on_disk(tmp_path: Path, data: bytes = BIG) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    return path


async def published(origin: Origin, who: Person, video_id: str) -> Json:
    await origin.until(who, video_id, lambda status: status["status"] == "ready")
    return await origin.ok("GET", f"/api/v1/videos/{video_id}")


async def test_tus_js_client_is_interrupted_resumes_and_gives_up(
    origin: Origin, tus_script: Path, tmp_path: Path
) -> None:
    ada = await origin.person()
    endpoint, token = f"{origin.url}/api/v1/uploads/tus", ada.headers["Authorization"]
    report = json.loads(await output_of(find_node()[0], tus_script, endpoint, token, on_disk(tmp_path), "told"))
    assert report["interrupted"]["stopped"]
    assert report["finished"] == {"url": report["interrupted"]["url"], "stopped": False}
    video = await published(origin, ada, report["finished"]["url"].rsplit("/", 1)[1])
    assert (video["title"], video["hashtags"]) == ("by tus-js-client", ["tus", "js"])
    gone = report["terminated"].removeprefix(origin.url)
    assert (await origin.call("HEAD", gone, ada, headers={"Tus-Resumable": "1.0.0"}))[0] in (404, 410)


async def test_tus_js_client_sends_a_stream_whose_length_it_does_not_know(
    origin: Origin, tus_script: Path, tmp_path: Path
) -> None:
    ada = await origin.person()
    endpoint, token = f"{origin.url}/api/v1/uploads/tus", ada.headers["Authorization"]
    report = json.loads(await output_of(find_node()[0], tus_script, endpoint, token, on_disk(tmp_path), "deferred"))
    await published(origin, ada, report["finished"]["url"].rsplit("/", 1)[1])


async def test_boto3_sends_presigned_parts_out_of_order_and_resumes_from_list_parts(origin: Origin) -> None:
    ada = await origin.person()
    body = {"filename": "clip.mp4", "filesize": len(BIG)}
    ticket = await origin.ok("POST", "/api/v1/videos/upload/presigned", ada, json=body)
    size, store = ticket["chunkSize"], origin.settings.objects
    s3 = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=str.__str__(store.access_key),
        aws_secret_access_key=str.__str__(store.secret_key),
        region_name="us-east-1",
    )

    def put(part: Json) -> int:
        data = BIG[(part["part"] - 1) * size : part["part"] * size]
        return int(URLLib3Session().send(AWSRequest("PUT", part["url"], data=data).prepare()).status_code)

    async def send(numbers: list[int]) -> None:
        urls = await origin.ok("POST", f"{ticket['uploadUrl']}/urls", ada, json={"parts": numbers})
        with ThreadPoolExecutor(max_workers=4) as pool:
            sent = [asyncio.get_running_loop().run_in_executor(pool, put, part) for part in urls["parts"]]
            assert set(await asyncio.gather(*sent)) == {200}

    def listed() -> list[int]:
        (upload,) = [
            upload
            for upload in s3.list_multipart_uploads(Bucket=store.bucket)["Uploads"]
            if f"/{ticket['videoId']}/" in upload["Key"]
        ]
        found: dict[str, Any] = s3.list_parts(Bucket=store.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        return [part["PartNumber"] for part in found["Parts"]]

    await send([4, 2])  # then the connection is gone
    have = await asyncio.to_thread(listed)
    assert have == [2, 4]
    assert [part["part"] for part in (await origin.ok("GET", ticket["uploadUrl"], ada))["parts"]] == have
    await send([number for number in (3, 1, 4) if number not in have])
    s3.close()
    await origin.ok("POST", f"/api/v1/videos/{ticket['videoId']}/upload/complete", ada, json={"title": "by boto3"})
    assert (await published(origin, ada, ticket["videoId"]))["title"] == "by boto3"


async def test_curl_sends_parts_in_parallel_is_cut_off_and_sends_the_rest(origin: Origin, tmp_path: Path) -> None:
    ada = await origin.person()
    ticket = await origin.begin(ada, BIG)
    size = ticket["chunkSize"]
    pieces: dict[int, Path] = {}
    for number, start in enumerate(range(0, len(BIG), size), start=1):
        pieces[number] = tmp_path / f"part-{number}"
        pieces[number].write_bytes(BIG[start : start + size])
    common = [
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--header",
        f"Authorization: {ada.headers['Authorization']}",
    ]

    def transfer(number: int) -> list[str]:
        url = f"{origin.url}{ticket['uploadUrl']}?part={number}"
        return ["--upload-file", str(pieces[number]), url, "--output", str(tmp_path / f"answer-{number}")]

    slow = await asyncio.create_subprocess_exec(*common, "--limit-rate", "100K", *transfer(1), stderr=PIPE)
    await output_of(*common, "--parallel", *transfer(4), "--next", *common[1:], *transfer(2))
    slow.kill()  # in the middle of its 5 MiB
    await slow.wait()
    received = await origin.ok("GET", ticket["uploadUrl"], ada)
    assert [part["part"] for part in received["parts"]] == [2, 4]
    missing = [number for number in pieces if number not in {part["part"] for part in received["parts"]}]
    for number in missing:
        await output_of(*common, *transfer(number))
    answer = json.loads(
        await output_of(
            *common,
            *("--json", json.dumps({"title": "by curl"}), "--header", "Idempotency-Key: once"),
            f"{origin.url}/api/v1/videos/{ticket['videoId']}/upload/complete",
        )
    )
    assert answer["videoId"] == ticket["videoId"]
    assert (await published(origin, ada, ticket["videoId"]))["title"] == "by curl"
