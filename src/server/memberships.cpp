#include "server/memberships.h"

#include "base/ids.h"
#include "store/typed.h"

#include <algorithm>
#include <cctype>
#include <ranges>
#include <set>

#include <spdlog/spdlog.h>

namespace berth::server {
namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;

constexpr std::size_t kLongestName = 63;
// Of one worker: the one before stays good, for a worker that never got the new one.
constexpr std::size_t kKept = 2;

SystemTime to_time(const std::string& rfc3339) {
  return parse_rfc3339(rfc3339).value_or(SystemTime());
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && text.front() != '.' &&
         std::ranges::all_of(text, [](unsigned char c) {
           return std::isdigit(c) != 0 || (c >= 'a' && c <= 'z') || c == '-' || c == '.';
         });
}

std::int64_t seconds_left(SystemTime until, SystemTime now) {
  return std::max<std::int64_t>(0, duration_cast<seconds>(until - now).count());
}

// Where two thirds of the time are over.
SystemTime renewal_of(SystemTime issued, SystemTime ends) {
  return issued + duration_cast<seconds>(ends - issued) * 2 / 3;
}

}  // namespace

Memberships::Memberships(store::Store& store, const ClusterIdentity& identity, const Clock& clock)
    : store_(store),
      identity_(identity),
      clock_(clock),
      began_(clock.system_now()),
      steady_began_(clock.steady_now()) {}

SystemTime Memberships::now() const {
  return began_ + duration_cast<SystemTime::duration>(clock_.steady_now() - steady_began_);
}

Result<void> Memberships::load() {
  BERTH_TRY(const auto stored, store::list_as<CertificateRecord>(store_, kCertificateKind));
  Certificates loaded;
  for (const auto& item : stored.items) {
    const auto& record = item.value;
    loaded[record.serial] = {.worker = record.worker,
                             .key_digest = record.key_digest,
                             .local = record.local,
                             .issued = to_time(record.issued_at),
                             .ends = to_time(record.expires_at)};
  }
  const std::scoped_lock lock(mutex_);
  certificates_ = std::move(loaded);
  return {};
}

Result<Memberships::NewToken> Memberships::create_token(Duration lifetime, bool local) {
  const cluster::JoinToken token{.fingerprint = identity_.fingerprint(), .secret = random_key()};
  const SystemTime time = now();
  NewToken made{.record = {.id = random_id(8),
                           .hash = sha256_hex(token.secret),
                           .local = local,
                           .created_at = to_rfc3339(time),
                           .expires_at = to_rfc3339(time + lifetime)},
                .text = cluster::to_text(token)};
  std::vector<store::Write> writes;
  BERTH_TRY(const auto all, tokens());
  for (const auto& old : all) {
    // Those that have ended, and the one of the local worker's earlier start.
    if (to_time(old.expires_at) > time && !(local && old.local)) continue;
    writes.push_back({.kind = std::string(kJoinTokenKind), .name = old.id, .data = std::nullopt});
  }
  writes.push_back({.kind = std::string(kJoinTokenKind),
                    .name = made.record.id,
                    .data = store::to_data(made.record)});
  BERTH_CHECK(store_.commit(std::move(writes)));
  return made;
}

Result<std::vector<JoinTokenRecord>> Memberships::tokens() const {
  BERTH_TRY(auto stored, store::list_as<JoinTokenRecord>(store_, kJoinTokenKind));
  std::vector<JoinTokenRecord> records;
  records.reserve(stored.items.size());
  for (auto& item : stored.items) records.push_back(std::move(item.value));
  return records;
}

Result<void> Memberships::remove_token(const std::string& id) {
  auto removed = store_.remove(kJoinTokenKind, id);
  if (!removed && removed.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "there is no join token \"{}\"; see berth token list", id);
  }
  if (!removed) return fail(std::move(removed).error());
  return {};
}

Result<JoinTokenRecord> Memberships::find_token(std::string_view secret) const {
  const std::string hash = sha256_hex(secret);
  BERTH_TRY(const auto all, tokens());
  for (const auto& record : all) {
    if (!equal_constant_time(record.hash, hash)) continue;
    if (to_time(record.expires_at) > now()) return record;
    return fail(
        make_error(ErrorCode::unauthenticated,
                   "the join token has ended ({}); `berth token create` on the server makes "
                   "a new one",
                   record.expires_at)
            .with_field("token"));
  }
  return fail(make_error(ErrorCode::unauthenticated,
                         "the join token is not known here; `berth token create` on the server "
                         "makes a new one")
                  .with_field("token"));
}

// The name belongs to the key that had it first, until the worker is removed.
Result<void> Memberships::check_name(const std::string& worker, const std::string& key_digest,
                                     bool local) const {
  if (!is_name(worker)) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "a worker's name has a-z, 0-9, '-' and '.', at most {} characters (got "
                           "\"{}\"); name it with --name",
                           kLongestName, worker)
                    .with_field("worker"));
  }
  const std::scoped_lock lock(mutex_);
  for (const auto& [serial, known] : certificates_) {
    if (known.worker != worker || known.key_digest == key_digest) continue;
    if (local && known.local) continue;
    return fail(make_error(ErrorCode::conflict,
                           "another machine is the worker {}; name this one otherwise with --name, "
                           "or remove the other one first: berth workers rm {}",
                           worker, worker)
                    .with_field("worker"));
  }
  return {};
}

Result<cluster::Membership> Memberships::join(std::string_view secret,
                                              const cluster::JoinRequest& request) {
  BERTH_TRY(const auto token, find_token(secret));
  auto digest = cluster::key_digest_of_request(request.request);
  if (!digest) return fail(std::move(digest).error().with_field("request"));
  BERTH_CHECK(check_name(request.worker, *digest, token.local));
  BERTH_TRY(auto membership, issue(request.worker, request.request, token.local));
  BERTH_CHECK(store_.append_event({.id = 0,
                                   .time = clock_.system_now(),
                                   .kind = std::string(model::kWorkerKind),
                                   .name = request.worker,
                                   .level = store::EventLevel::info,
                                   .reason = "joined",
                                   .message = fmt::format("joined by the token {}", token.id)}));
  return membership;
}

Result<cluster::Membership> Memberships::renew(const Member& member, const std::string& request) {
  return issue(member.worker, request, member.local);
}

Result<cluster::Membership> Memberships::issue(const std::string& worker,
                                               const std::string& request, bool local) {
  const SystemTime time = now();
  BERTH_TRY(const auto digest, cluster::key_digest_of_request(request));
  const std::string name = cluster::worker_name(identity_.cluster(), worker);
  BERTH_TRY(const auto made, cluster::sign(identity_.authority(), request, name, time));
  const CertificateRecord record{.serial = made.serial,
                                 .worker = worker,
                                 .key_digest = digest,
                                 .local = local,
                                 .issued_at = to_rfc3339(time),
                                 .expires_at = to_rfc3339(made.ends)};
  std::vector<store::Write> writes;
  writes.push_back({.kind = std::string(kCertificateKind),
                    .name = record.serial,
                    .data = store::to_data(record)});
  BERTH_CHECK(store_.commit(std::move(writes)));
  std::vector<std::pair<SystemTime, std::string>> old;  // the newest first
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [serial, known] : certificates_) {
      if (known.worker == worker) old.emplace_back(known.issued, serial);
    }
    certificates_[record.serial] = {
        .worker = worker, .key_digest = digest, .local = local, .issued = time, .ends = made.ends};
  }
  std::ranges::sort(old, std::greater<>());
  std::vector<std::string> surplus;
  for (const auto& [issued, serial] : old | std::views::drop(kKept - 1)) surplus.push_back(serial);
  BERTH_CHECK(drop(surplus));
  return cluster::Membership{.cluster = identity_.cluster(),
                             .worker = worker,
                             .certificate = made.certificate,
                             .authority = identity_.authority().certificate,
                             .valid_for = seconds_left(made.ends, time),
                             .renew_after = seconds_left(renewal_of(time, made.ends), time)};
}

Result<void> Memberships::drop(const std::vector<std::string>& serials) {
  if (serials.empty()) return {};
  std::vector<store::Write> writes;
  writes.reserve(serials.size());
  for (const auto& serial : serials) {
    writes.push_back({.kind = std::string(kCertificateKind), .name = serial, .data = std::nullopt});
  }
  BERTH_CHECK(store_.commit(std::move(writes)));
  const std::scoped_lock lock(mutex_);
  for (const auto& serial : serials) certificates_.erase(serial);
  return {};
}

Result<void> Memberships::revoke(const std::string& worker) {
  std::vector<std::string> serials;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [serial, known] : certificates_) {
      if (known.worker == worker) serials.push_back(serial);
    }
  }
  return drop(serials);
}

Result<Member> Memberships::authenticate(const net::Request& request) const {
  if (request.certificate == nullptr) {
    return fail(ErrorCode::unauthenticated,
                "this route is for workers, which show the cluster's certificate");
  }
  return authenticate(*request.certificate);
}

Result<Member> Memberships::authenticate(const net::PeerCertificate& certificate) const {
  const SystemTime time = now();
  const std::scoped_lock lock(mutex_);
  const auto known = certificates_.find(certificate.serial);
  const bool is_worker =
      known != certificates_.end() &&
      cluster::worker_of_name(certificate.name, identity_.cluster()) == known->second.worker;
  if (!is_worker) {
    return fail(ErrorCode::unauthenticated,
                "the worker's certificate was revoked; join again with a new token");
  }
  if (known->second.ends <= time) {
    return fail(ErrorCode::unauthenticated,
                "the worker's certificate has ended ({}); join again with a new token",
                to_rfc3339(known->second.ends));
  }
  const SystemTime renewal = renewal_of(known->second.issued, known->second.ends);
  return Member{.worker = known->second.worker,
                .local = known->second.local,
                .renew_after = seconds_left(renewal, time)};
}

std::map<std::string, SystemTime> Memberships::ends() const {
  std::map<std::string, SystemTime> newest;
  const std::scoped_lock lock(mutex_);
  for (const auto& [serial, known] : certificates_) {
    auto& end = newest[known.worker];
    end = std::max(end, known.ends);
  }
  return newest;
}

Result<bool> Memberships::has_remote() const {
  {
    const std::scoped_lock lock(mutex_);
    const auto is_remote = [](const auto& entry) { return !entry.second.local; };
    if (std::ranges::any_of(certificates_, is_remote)) return true;
  }
  BERTH_TRY(const auto all, tokens());
  return std::ranges::any_of(all, [&](const JoinTokenRecord& record) {
    return !record.local && to_time(record.expires_at) > now();
  });
}

}  // namespace berth::server
