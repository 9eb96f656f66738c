#include "server/certificate_watch.h"

#include "base/log.h"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace berth::server {
namespace {

constexpr std::chrono::hours kEvery{1};
constexpr int kSixth = 6;

double epoch_seconds(SystemTime time) {
  return static_cast<double>(std::chrono::system_clock::to_time_t(time));
}

}  // namespace

std::string certificate_figures(const ClusterIdentity& identity, const Memberships& members) {
  prometheus::Registry now;
  auto& ends = prometheus::BuildGauge()
                   .Name("berth_certificate_end_timestamp_seconds")
                   .Help("When a certificate of the cluster ends, in seconds since 1970")
                   .Register(now);
  ends.Add({{"owner", "authority"}}).Set(epoch_seconds(identity.authority_ends()));
  ends.Add({{"owner", "server"}}).Set(epoch_seconds(identity.server_ends()));
  for (const auto& [worker, end] : members.ends()) {
    ends.Add({{"owner", "worker"}, {"worker", worker}}).Set(epoch_seconds(end));
  }
  return prometheus::TextSerializer().Serialize(now.Collect());
}

CertificateWatch::CertificateWatch(store::Store& store, ClusterIdentity& identity,
                                   const Memberships& members, const Clock& clock)
    : store_(store), identity_(identity), members_(members), clock_(clock) {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      look();
      std::unique_lock lock(mutex_);
      woken_.wait_for(lock, stop, kEvery, [] { return false; });
    }
  });
}

CertificateWatch::~CertificateWatch() { thread_.request_stop(); }

void CertificateWatch::look() {
  const std::scoped_lock lock(mutex_);
  if (auto renewed = identity_.renew_if_due(); !renewed) {
    log_error_sparingly(fmt::format("the server's certificate: {}", renewed.error().to_string()));
  }
  const SystemTime now = clock_.system_now();
  if (identity_.authority_ends() - now < cluster::kAuthorityLifetime / kSixth) {
    warn("", identity_.authority_ends());
  }
  for (const auto& [worker, ends] : members_.ends()) {
    if (ends - now < cluster::kMemberLifetime / kSixth) warn(worker, ends);
  }
}

// Once for each end; `worker` empty: the authority.
void CertificateWatch::warn(const std::string& worker, SystemTime ends) {
  if (!told_.emplace(worker, ends).second) return;
  const bool is_authority = worker.empty();
  std::string message =
      is_authority ? fmt::format(
                         "the cluster's authority ends at {}; a new one needs all workers to join "
                         "anew",
                         to_rfc3339(ends))
                   : fmt::format(
                         "the worker's certificate ends at {}, and it has not renewed it; is it "
                         "away? Later it needs a new join token",
                         to_rfc3339(ends));
  const auto written = store_.append_event({.id = 0,
                                            .time = clock_.system_now(),
                                            .kind = is_authority ? "cluster" : "worker",
                                            .name = is_authority ? "authority" : worker,
                                            .level = store::EventLevel::warning,
                                            .reason = "certificate_ends",
                                            .message = std::move(message)});
  if (!written) log_error_sparingly(written.error().to_string());
}

}  // namespace berth::server
