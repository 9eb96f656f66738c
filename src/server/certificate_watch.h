// CertificateWatch: sees to it that the cluster's certificates do not end unnoticed.
#pragma once

#include "server/memberships.h"

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace berth::server {

// When each certificate ends, for /metrics (Prometheus' text format).
std::string certificate_figures(const ClusterIdentity& identity, const Memberships& members);

// Looks once an hour, on a thread of its own: renews the server's certificate, and writes an event
// for each certificate of a worker, or the authority's, of which less than a sixth of its time is
// left. Ends on destruction.
class CertificateWatch {
 public:
  // All of it outlives this.
  CertificateWatch(store::Store& store, ClusterIdentity& identity, const Memberships& members,
                   const Clock& clock);
  ~CertificateWatch();
  CertificateWatch(const CertificateWatch&) = delete;
  CertificateWatch& operator=(const CertificateWatch&) = delete;

  // One look; what the thread does. Blocks. Thread-safe.
  void look();

 private:
  void warn(const std::string& whose, SystemTime ends);

  store::Store& store_;
  ClusterIdentity& identity_;
  const Memberships& members_;
  const Clock& clock_;
  std::set<std::pair<std::string, SystemTime>> told_;
  std::mutex mutex_;
  std::condition_variable_any woken_;
  std::jthread thread_;
};

}  // namespace berth::server
