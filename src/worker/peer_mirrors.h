// PeerMirrors: other workers that have the files of a model, as mirrors of its hub.
#pragma once

#include "base/result.h"
#include "model/repository_files.h"
#include "net/server.h"
#include "sources/cache/cache.h"
#include "worker/membership.h"

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace berth::worker {

// A listener on loopback, which passes requests for these files on to other workers over the
// cluster's TLS: downloads know nothing of it. The mirrors are there as long as this lives.
class PeerMirrors {
 public:
  // Asks the server who has the files, and those workers: some seconds at most for each. Blocks;
  // thread-safe. No mirrors where nobody has them, or the server is away.
  PeerMirrors(const Membership& membership, const model::RepositoryFiles& files,
              const std::stop_token& stop);
  ~PeerMirrors();
  PeerMirrors(const PeerMirrors&) = delete;
  PeerMirrors& operator=(const PeerMirrors&) = delete;

  [[nodiscard]] const std::vector<sources::Mirror>& mirrors() const { return mirrors_; }

 private:
  // Where the files of one worker are.
  struct Way {
    std::string worker;
    net::Endpoint endpoint;
    net::TlsPeer peer;
    std::string base;  // of the targets: "BASE/0"
  };

  Result<void> find(const Membership& membership, const model::RepositoryFiles& files,
                    const std::stop_token& stop);
  Result<void> listen();
  static Result<Way> way_to(const Membership& membership, const cluster::Peer& peer,
                            const std::string& key);
  net::Task<> pass(net::Exchange& exchange) const;
  net::Task<Result<void>> pass_on(net::Exchange& exchange) const;

  std::string key_;  // that opens the listener
  std::vector<Way> ways_;
  std::vector<sources::Mirror> mirrors_;
  std::unique_ptr<net::Server> server_;
};

}  // namespace berth::worker
