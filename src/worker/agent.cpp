#include "worker/agent.h"

#include "base/files.h"
#include "base/ids.h"
#include "net/local_address.h"
#include "net/server.h"
#include "process/process_table.h"
#include "worker/devices/device_watch.h"
#include "worker/devices/registry.h"
#include "worker/fetching.h"
#include "worker/follower.h"
#include "worker/identity.h"
#include "worker/listener.h"
#include "worker/member.h"
#include "worker/member_routes.h"
#include "worker/proxy_keeper.h"
#include "worker/services.h"
#include "worker/system_facts.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <future>
#include <map>
#include <set>
#include <thread>

#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

constexpr std::chrono::seconds kReportEvery{5};
constexpr std::chrono::milliseconds kReportRetry{100};
constexpr std::chrono::seconds kEndPatience{25};
constexpr std::chrono::seconds kProxyPatience{10};
constexpr std::chrono::milliseconds kProxyLook{50};
constexpr net::ClientDeadlines kProxyDeadlines{.connect = std::chrono::seconds(2),
                                               .head = std::chrono::seconds(2),
                                               .idle = std::chrono::seconds(2)};
constexpr std::size_t kQueue = 1024;

// The agent's state, on one io_context.
class Agent {
 public:
  Agent(const AgentOptions& options, Identity identity, Membership& membership,
        net::IoContext& context, Packs& packs, ModelFiles& files, HubWays& hubs,
        std::shared_ptr<net::WakeUp> changed, net::ThreadPool& pool, net::ThreadPool& install_pool)
      : options_(options),
        identity_(std::move(identity)),
        membership_(membership),
        context_(context),
        packs_(packs),
        files_(files),
        hubs_(hubs),
        pool_(pool),
        install_pool_(install_pool),
        changed_(std::move(changed)),
        facts_(read_system_facts()),
        devices_(std::make_shared<DeviceWatch>(facts_, detect_gpus(),
                                               devices::all_vendors(options.rpc_devices))),
        follower_(context, membership, pool,
                  {.describe = [this] { return enlist(); },
                   .on_enlisted = [this](const cluster::Registered& server,
                                         const Duties& duties) { take_up(server, duties); },
                   .on_change = [this](DutyChange change) { change_duty(std::move(change)); },
                   .on_new_certificate =
                       [this] { return proxy_->set_credentials(membership_.credentials()); }}),
        member_context_{.data = options.data,
                        .backends = backends::builtin_backends(),
                        .packs = packs,
                        .files = files,
                        .ports = ports_,
                        .pool = pool,
                        .install_pool = install_pool,
                        .devices = devices_,
                        .clock = real_clock(),
                        .shim_program = identity_.shim,
                        .cluster_tag = identity_.tag,
                        .facts = [this] { return describe(); },
                        .on_change = [this] { changed_->wake(); },
                        .system_env = current_environment(),
                        .kept_logs = options.kept_logs,
                        .allowed_env = options.allowed_env,
                        .groups = take_groups(options.data, identity_.tag)},
        proxy_(
            std::make_shared<ProxyKeeper>(ProxyContext{.data = options.data,
                                                       .ports = ports_,
                                                       .pool = pool,
                                                       .clock = real_clock(),
                                                       .shim_program = identity_.shim,
                                                       .program = options.program,
                                                       .version = options.version,
                                                       .cluster_tag = identity_.tag,
                                                       .listen = options.listen,
                                                       .on_change = [this] { changed_->wake(); }},
                                          context.get_executor())) {}

  [[nodiscard]] const model::SystemFacts& facts() const { return facts_; }
  // Where the agent's own listener is. Blocks; before `start`.
  void open_proxy(AgentRoute agent) { proxy_->open(membership_.credentials(), std::move(agent)); }

  // Starts the loops; `done` is called when the agent has ended.
  void start(std::function<void()> done) {
    done_ = std::move(done);
    find_leftovers();
    spawn(proxy_->run());
    spawn(until_end(follower_.run()));
    spawn(until_end(follower_.keep_certificate()));
    spawn(until_end(send_reports()));
  }

  void end(bool leave_engines) {
    if (!leave_engines) adopt_leftovers();
    leaving_ = true;
    for (const auto& ending : ending_) ending->wake();
    cancel_install_.request_stop();
    if (leave_engines) {
      proxy_->detach();
    } else {
      proxy_->stop();
    }
    for (auto& [name, member] : members_) {
      if (leave_engines) {
        member->detach();
      } else {
        member->stop("its worker has ended");
      }
    }
    if (follower_.enlisted() && !leave_engines) spawn(say_goodbye());
    finish_if_done();
  }

 private:
  void spawn(net::Task<> task) {
    ++tasks_;
    boost::asio::co_spawn(context_, std::move(task), [this](std::exception_ptr thrown) {
      --tasks_;
      if (thrown) log_exception(thrown);
      finish_if_done();
    });
  }

  static void log_exception(const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      spdlog::error("a task of the agent failed: {}", error.what());
    }
  }

  void finish_if_done() {
    if (leaving_ && tasks_ == 0 && done_) std::exchange(done_, nullptr)();
  }

  // Each loop has an event of its own: a WakeUp has one waiter.
  net::Task<> wait_for_end(std::shared_ptr<net::WakeUp> ending) {
    while (!leaving_) co_await ending->wait(std::chrono::hours(1));
  }

  net::Task<> until_end(net::Task<Result<void>> work) {
    auto ending = std::make_shared<net::WakeUp>(context_.get_executor());
    ending_.push_back(ending);
    co_await net::unless(std::move(work), wait_for_end(ending),
                         make_error(ErrorCode::cancelled, "the agent ends"));
  }

  // Which of our addresses the server can reach may have changed.
  net::Task<model::Worker> enlist() {
    auto found =
        co_await net::offload(pool_, [this]() -> Result<net::Endpoint> { return find_address(); });
    if (found) host_ = *std::move(found);
    co_await wait_for_proxy();
    co_return describe();
  }

  // A worker that is ready can be asked. One whose proxy does not come enlists all the same, and
  // says so by the answers that it does not give.
  net::Task<> wait_for_proxy() {
    const SteadyTime until = real_clock().steady_now() + kProxyPatience;
    const bool anywhere = options_.listen.host == "0.0.0.0" || options_.listen.host == "::";
    while (!leaving_ && real_clock().steady_now() < until) {
      net::ClientRequest request{.target = "/health"};
      request.tls = membership_.own_peer();
      auto answer = co_await net::Client::of(context_).fetch(
          {anywhere ? "127.0.0.1" : options_.listen.host, proxy_->port()}, std::move(request),
          kProxyDeadlines);
      if (answer && answer->status == 200) co_return;
      co_await net::sleep_for(kProxyLook);
    }
  }

  // What the server is told of it. Blocks.
  [[nodiscard]] Result<net::Endpoint> find_address() const {
    if (options_.local) return net::Endpoint{"127.0.0.1", 0};
    if (!options_.advertise.empty())
      return net::parse_endpoint(options_.advertise, std::uint16_t{0});
    BERTH_TRY(const auto server, membership_.server());
    return net::Endpoint{net::address_towards(server.endpoint).value_or(net::host_name()), 0};
  }

  // Of the proxy, as the server reaches it; empty while it has no port.
  [[nodiscard]] std::string address() const {
    const std::uint16_t port = host_.port != 0 ? host_.port : proxy_->port();
    return port == 0 ? std::string() : net::to_string({host_.host, port});
  }

  [[nodiscard]] model::Worker describe() const {
    model::Worker worker{
        .name = identity_.name,
        .version = options_.version,
        .local = options_.local,
        .address = address(),
        .system = facts_,
        .labels = {{"os", facts_.os}, {"arch", facts_.arch}, {"worker-name", identity_.name}}};
    worker.devices = devices_->devices();
    worker.packs = packs_.list();
    worker.warnings = warnings();
    return worker;
  }

  [[nodiscard]] std::vector<std::string> warnings() const {
    auto all = packs_.warnings();
    for (auto& warning : devices_->warnings(packs_.list())) all.push_back(std::move(warning));
    return all;
  }

  // ---- duties

  // Engines that an earlier agent left: known by their notes, and ended unless they are assigned.
  void find_leftovers() {
    for (const auto& folder : find_member_folders(options_.data)) {
      const auto note = folder.read_note();
      if (!note) continue;
      const model::Assignment assignment{.instance = note->instance,
                                         .generation = note->generation,
                                         .member = note->member,
                                         .worker = identity_.name};
      leftovers_.emplace(name_of(assignment), assignment);
    }
  }

  // Makes what an earlier agent left, and is not assigned, this one's: what it runs is then ended
  // like the rest, even where no server has spoken of it yet.
  void adopt_leftovers() {
    for (const auto& [name, assignment] : std::exchange(leftovers_, {})) {
      if (!members_.contains(name)) add_member(assignment);
    }
  }

  static std::string name_of(const model::Assignment& assignment) {
    return model::assignment_name(assignment.instance, assignment.generation, assignment.member);
  }

  void take_up(const cluster::Registered& server, const Duties& duties) {
    hubs_.set_servers(server.hubs);
    sequence_ = 0;
    spdlog::info("joined the server as {}", identity_.name);
    std::set<std::string> wanted;
    for (const auto& assignment : duties.assignments) {
      wanted.insert(name_of(assignment));
      add_member(assignment);
    }
    adopt_leftovers();
    for (auto& [name, member] : members_) {
      if (!wanted.contains(name)) member->stop();
    }
    for (const auto& request : duties.pack_requests) take_pack_request(request);
    files_.set_requests(duties.file_requests);
    revision_ = duties.revision;
    changed_->wake();
  }

  void change_duty(DutyChange change) {
    if (change.assignment) {
      const auto member = members_.find(name_of(*change.assignment));
      if (!change.removed)
        add_member(*change.assignment);
      else if (member != members_.end())
        member->second->stop();
    }
    if (change.pack_request && !change.removed) take_pack_request(*change.pack_request);
    if (change.file_request && !change.removed) files_.set_request(*change.file_request);
    if (change.file_request && change.removed) files_.drop_request(change.file_request->files);
    revision_ = std::max(revision_, change.revision);
    changed_->wake();
  }

  // Takes an assignment up, or what changed of it.
  void add_member(const model::Assignment& assignment) {
    if (leaving_) return;
    const std::string name = name_of(assignment);
    auto& member = members_[name];
    if (!member) {
      member = std::make_shared<Member>(member_context_, assignment, context_.get_executor());
      spawn(run_member(name, member));
    }
    member->update(assignment);
    if (assignment.drain) member->drain();
  }

  net::Task<> run_member(std::string name, std::shared_ptr<Member> member) {
    co_await member->run();
    members_.erase(name);
    changed_->wake();
  }

  // ---- packs

  void take_pack_request(const model::PackRequest& request) {
    auto& seen = pack_requests_[request.pack];
    if (seen == request.at) return;
    seen = request.at;
    if (!leaving_) spawn(carry_out(request));
  }

  net::Task<> carry_out(model::PackRequest request) {
    auto work = [this, request, users = packs_in_use(),
                 token = cancel_install_.get_token()]() -> Result<void> {
      const auto in_use = [&users](const engines::InstalledPack& pack) {
        return users.contains(pack.name);
      };
      return packs_.carry_out(request, in_use, token);
    };
    auto done = co_await net::offload(install_pool_, std::move(work));
    if (!done) spdlog::error("engine pack {}: {}", request.pack, done.error().to_string());
  }

  [[nodiscard]] std::set<std::string> packs_in_use() const {
    std::set<std::string> packs;
    for (const auto& [name, member] : members_) {
      if (member->engine()) packs.insert(member->pack());
    }
    return packs;
  }

  // ---- reports

  net::Task<Result<void>> send_reports() {
    for (;;) {
      const bool is_change = co_await changed_->wait(kReportEvery);
      if (!follower_.enlisted() || is_looking()) continue;
      if (!is_change) co_await measure();
      co_await proxy_->set_routes(routes_to(members_, membership_),
                                  tunnels_from(members_, membership_));
      auto report = make_report();
      auto sent = co_await follower_.link().report(std::move(report));
      if (!sent) {
        spdlog::debug("a report was not taken: {}", sent.error().to_string());
        co_await net::sleep_for(kReportRetry);
        changed_->wake();
      }
    }
  }

  // Whether a member still looks for the engine that an earlier agent left; it ends within seconds,
  // with a wake-up.
  [[nodiscard]] bool is_looking() const {
    return std::any_of(members_.begin(), members_.end(),
                       [](const auto& entry) { return !entry.second->is_settled(); });
  }

  // What the engines' processes take now, and what is left of the devices.
  net::Task<> measure() {
    std::map<std::string, pid_t> engines;
    for (const auto& [name, member] : members_) {
      if (const auto pid = member->engine()) engines[name] = *pid;
    }
    auto uses = co_await net::offload(
        pool_, [watch = devices_, engines] { return watch->measure(engines); });
    if (!uses) co_return;
    for (auto& [name, use] : *uses) {
      if (const auto member = members_.find(name); member != members_.end()) {
        member->second->set_use(std::move(use));
      }
    }
  }

  // Tells the server that the engines are going, so that it sends them no more requests.
  net::Task<> say_goodbye() {
    auto report = make_report();
    auto sent = co_await follower_.link().report(std::move(report));
    if (!sent) spdlog::debug("the last report was not taken: {}", sent.error().to_string());
  }

  cluster::WorkerReport make_report() {
    cluster::WorkerReport report{
        .worker = identity_.name, .sequence = ++sequence_, .revision = revision_};
    for (const auto& [name, member] : members_) report.instances.push_back(member->report());
    report.devices = devices_->devices();
    report.packs = packs_.list();
    report.warnings = warnings();
    report.address = address();
    report.files = files_.list();
    return report;
  }

  const AgentOptions& options_;
  Identity identity_;
  Membership& membership_;
  net::IoContext& context_;
  Packs& packs_;
  ModelFiles& files_;
  HubWays& hubs_;
  net::ThreadPool& pool_;
  net::ThreadPool& install_pool_;
  std::shared_ptr<net::WakeUp> changed_;
  std::vector<std::shared_ptr<net::WakeUp>> ending_;
  model::SystemFacts facts_;
  std::shared_ptr<DeviceWatch> devices_;
  process::PortLeases ports_;
  Follower follower_;
  MemberContext member_context_;
  std::shared_ptr<ProxyKeeper> proxy_;
  net::Endpoint host_{"127.0.0.1", 0};  // where the server finds us; port 0: the proxy's
  std::map<std::string, std::shared_ptr<Member>> members_;  // by the assignment's name
  std::map<std::string, model::Assignment> leftovers_;
  std::map<std::string, std::string> pack_requests_;  // the last one seen of each pack
  std::stop_source cancel_install_;
  std::uint64_t revision_ = 0;
  std::uint64_t sequence_ = 0;
  int tasks_ = 0;
  bool leaving_ = false;
  std::function<void()> done_;
};

}  // namespace

Result<void> run_agent(const AgentOptions& options) {
  BERTH_CHECK(create_data_folder(options.data));
  std::error_code ignored;
  std::filesystem::create_directories(options.data.worker(), ignored);
  BERTH_TRY(const auto lock, FileLock::try_acquire(options.data.agent_lock()));
  BERTH_TRY(auto identity, make_identity(options));
  BERTH_TRY(const auto membership, Membership::open({.data = options.data,
                                                     .local = options.local,
                                                     .server = options.server,
                                                     .token = options.token,
                                                     .name = identity.name,
                                                     .version = options.version}));
  sweep_strangers(options.data, identity.tag);
  std::filesystem::remove_all(options.data.headers(), ignored);  // of one that was killed

  net::IoContext context(1);
  auto changed = std::make_shared<net::WakeUp>(context.get_executor());
  BERTH_TRY(const auto packs,
            Packs::open(options.data, [changed] { changed->wake_from_anywhere(); }));
  HubWays hubs;
  BERTH_TRY(const auto places, sources::read_cache_places());
  ModelFiles files(fetching_options({.membership = *membership,
                                     .hubs = hubs,
                                     .places = places,
                                     .limit = options.download_limit,
                                     .notes = options.data.fetched_models(),
                                     .on_change = [changed] { changed->wake_from_anywhere(); }}));
  net::ThreadPool pool(2, kQueue);
  net::ThreadPool install_pool(2, kQueue);
  Agent agent(options, std::move(identity), *membership, context, *packs, files, hubs, changed,
              pool, install_pool);

  Services services({.data = options.data,
                     .pool = pool,
                     .packs = *packs,
                     .files = files,
                     .hubs = hubs,
                     .membership = *membership,
                     .context = context,
                     .places = places,
                     .system = agent.facts()});
  BERTH_TRY(const auto listener,
            net::Server::listen({.address = {"127.0.0.1", 0}, .contexts = {&context}},
                                services.routes()));
  agent.open_proxy({.port = listener->port(), .access_key = services.access_key()});
  listener->start();

  std::promise<void> ended;
  boost::asio::post(context, [&] { agent.start([&ended] { ended.set_value(); }); });
  {
    auto work = boost::asio::make_work_guard(context);
    std::jthread thread([&context] { context.run(); });
    const bool leave_engines = wait_for_signal() == SIGHUP || options.leave_engines;
    spdlog::info("the worker ends{}", leave_engines ? "; its engines go on" : "");
    boost::asio::post(context, [&agent, leave_engines] { agent.end(leave_engines); });
    if (ended.get_future().wait_for(kEndPatience) != std::future_status::ready) {
      spdlog::error("not everything ended in time; the rest is left to the shims");
    }
    listener->stop(std::chrono::seconds(1));
    context.stop();
  }
  return {};
}

}  // namespace berth::worker
