#include "described_cluster.h"

#include "backends/assumed_packs.h"
#include "base/data_folder.h"
#include "base/files.h"
#include "engines/catalogue.h"
#include "text/cluster_file.h"

namespace berth::app {
namespace {

constexpr Bytes kLargestFile = 16_MiB;

}  // namespace

Result<model::ClusterView> read_described_cluster(const CommonOptions& common,
                                                  const std::string& file) {
  BERTH_TRY(const auto content, read_file(file, kLargestFile));
  BERTH_TRY(const auto data, find_data_folder(common.data));
  BERTH_TRY(const auto catalogue, engines::load_catalogue(data.root));
  text::PackChoice packs{.known = {}, .usual = backends::assumed_packs()};
  for (const auto& entry : catalogue.entries) packs.known.push_back(entry.pack);
  return text::read_cluster(content, file, packs);
}

}  // namespace berth::app
