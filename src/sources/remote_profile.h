// What a model that is on no machine of the cluster is, from headers alone: at an http(s) address,
// or on a hub.
#pragma once

#include "model/profile.h"
#include "model/repository_files.h"
#include "sources/hub/choice.h"
#include "sources/range_reader.h"

#include <optional>
#include <string>
#include <string_view>

namespace berth::sources {

// Whether `text` is meant as an address or as the name of a model on a hub.
bool is_remote(std::string_view text);

// The address or the hub's name as everybody understands it. Fails as parse_address and
// parse_hub_name.
Result<std::string> normalise_remote(std::string_view text);

struct RemoteModel {
  model::ModelProfile profile;      // its files are addresses; of a hub, paths in the repository
  std::optional<HubChoice> choice;  // on a hub: which of the repository's files these are
  std::optional<model::RepositoryFiles> files = {};  // on a hub, see HubModel
};

// Profiles what is there; nothing is downloaded. For a hub the settings are those of the
// environment (hub/settings.h), with the client's options from `options`; where it can not be
// asked, what this machine's caches have of the model counts. Blocking; thread-safe. Errors: as
// profile_url and profile_hub.
Result<RemoteModel> profile_remote(std::string_view text, const RangeOptions& options = {});

// Profiles the GGUF file at `url`; tensor data is not read, but for what shares a block with the
// header's end. Where it is one part of several, the others are read beside it, by their names. The
// profile's files are the addresses. Blocking; thread-safe.
//
// Errors: as open_url, formats::read_gguf and read_parts, beginning with the address less its
// query; unsupported for one part of several at an address with a query.
Result<model::ModelProfile> profile_url(std::string_view url, const RangeOptions& options = {});

}  // namespace berth::sources
