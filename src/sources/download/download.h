// Downloads one file of a known size from the web to a path: in parallel ranges, to be resumed
// after any interruption, verified before it gets its name.
#pragma once

#include "base/space.h"
#include "sources/download/bandwidth.h"
#include "sources/http_client.h"
#include "sources/hub/listing.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace berth::sources {

struct DownloadRequest {
  Address address;
  std::filesystem::path path;  // absolute; its folder is there
  Bytes size;
  HubDigest digest;    // of the content; none: only the size and the server's ETag are checked
  std::string etag;    // that each answer must have, as it is sent, quotes and all; empty: any
  std::string commit;  // or whatever else tells one state of the address from another; may be empty
  std::string name = {};  // for messages; empty: the path's last part

  [[nodiscard]] std::string shown() const { return name.empty() ? path.filename().string() : name; }
};

enum class DownloadPhase {
  waiting,      // somebody else downloads this file
  downloading,  // also the beginning, when what an earlier one left is read
  verifying,    // all is there; its digest is still being computed
};

struct DownloadProgress {
  DownloadPhase phase = DownloadPhase::waiting;
  Bytes done;  // with what an earlier download left; goes back where the file must be begun anew
  Bytes total;
  Bytes per_second;  // that came in, over the last seconds
};

struct DownloadOptions {
  // Who asks, the words for refusals, and the deadlines `connect` and `stall`, the pauses between
  // attempts. Its other limits (time, traffic, number of attempts, stop) are replaced by those
  // below.
  HttpOptions http;
  Bytes chunk = 8_MiB;  // what is fetched with one request, and at most fetched again for each
                        // connection after an interruption; 1 B at least
  int connections = 4;  // 1 to 16
  int restarts = 3;     // of a file that changes while it is downloaded
  Duration patience = std::chrono::minutes(5);  // without a new byte, over all attempts
  Duration progress_interval = std::chrono::milliseconds(500);
  // On the thread that called `download`, between its other work. Must not block for long.
  std::function<void(const DownloadProgress&)> on_progress;
  std::shared_ptr<SpaceLedger> space;    // null: process_space()
  std::shared_ptr<Bandwidth> bandwidth;  // null: no limit
  std::filesystem::path lock;            // empty: the file's path and ".lock"
  std::stop_token stop;                  // keeps what came; ends within about a second
};

struct Downloaded {
  bool was_there = false;  // before, or by somebody else who was waited for
  Bytes fetched;           // by this call, of the file's bytes
};

// Gives the file at `request.address` the name `request.path`. Blocks; thread-safe, also for the
// same file: whoever holds an flock on the lock file downloads, in whatever process, and the others
// wait and find the file there. The lock file stays.
//
// A file that is at the path already is trusted if it has the size. While it comes, the file is
// "PATH.part", beside "PATH.part.journal", which says what of it is on the disk; both are kept when
// the download ends early, and a later one with the same digest (without one: address and commit),
// size, chunk, and ETag goes on from there. Memory: some 300 KiB a connection and 1 MiB.
//
// A server that serves no ranges is read in one stream, from the beginning each time. A file of up
// to one chunk is, too.
//
// Errors: as HttpClient::get for what is final, and for what lasts longer than the patience;
// invalid_parameter (the path or an option); conflict (the file has another size or ETag than it
// must, or goes on changing; the path is taken by something else); corrupt (the digest is not the
// one that it must be: then part and journal are deleted; or the server's answers are nonsense);
// unavailable (no space: names the file system's folder and what is missing); cancelled; io.
Result<Downloaded> download(const DownloadRequest& request, const DownloadOptions& options = {});

}  // namespace berth::sources
