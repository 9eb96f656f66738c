#include "formats/audio_layout.h"

#include "formats/config_keys.h"
#include "formats/ctranslate2.h"
#include "formats/cursor.h"
#include "formats/known_audio.h"
#include "formats/layout_files.h"
#include "formats/weight_files.h"

#include <algorithm>
#include <array>
#include <span>

namespace berth::formats {
namespace {

using model::Category;
using model::FileFormat;
using model::Modality;
using model::ModelProfile;

bool has_architecture(const ConfigKeys& config, std::string_view name) {
  const json::array* list = config.array("architectures");
  return list != nullptr && std::ranges::any_of(*list, [&](const json::value& one) {
           return one.is_string() && one.get_string() == name;
         });
}

// A JSON file that only helps to decide: what is broken in it is as good as not there, because the
// same name may stand beside a model of another kind, which does well without it.
Result<json::object> read_hint(const FileSet& files, std::string_view path) {
  if (!files.contains(path)) return json::object{};
  auto object = read_json(files, path);
  if (!object && object.error().code == ErrorCode::corrupt) return json::object{};
  return object;
}

ModelProfile speech_profile(const FileSet& files, std::string_view architecture,
                            Category category) {
  const bool listens = category == Category::speech_to_text;
  return {
      .name = folder_name(files.name()),
      .architecture = std::string(architecture),
      .category = category,
      .inputs = {listens ? Modality::audio : Modality::text},
      .outputs = {listens ? Modality::text : Modality::audio},
  };
}

Result<void> add_files(ModelProfile& profile, const FileSet& files,
                       std::span<const std::string_view> paths) {
  for (const std::string_view path : paths) {
    BERTH_TRY(auto file, locate_file(files, path));
    add_file(profile, std::move(file));
  }
  return {};
}

// The weights that transformers loads.
Result<void> add_weights(ModelProfile& profile, const FileSet& files) {
  BERTH_TRY(const auto weights, find_weights(files));
  const bool loadable = std::ranges::none_of(
      weights.files, [](const FileEntry& file) { return file.path.ends_with(".pt"); });
  if (weights.files.empty() || !loadable) {
    return fail(ErrorCode::not_found,
                "{} holds no weights: there is no model.safetensors and no pytorch_model.bin",
                files.name());
  }
  profile.format = weights.format;
  for (const FileEntry& file : weights.files) {
    add_file(profile, {.path = files.locate(file.path), .size = file.size});
  }
  return {};
}

constexpr std::string_view kCosyVoiceConfig = "cosyvoice.yaml";
constexpr std::string_view kCosyVoice2Config = "cosyvoice2.yaml";  // its name in later repositories

// CosyVoice, cosyvoice/cli/cosyvoice.py, at the revision that vox-box has. The archives are
// compiled modules, which version 1 puts in place of the plain ones on a GPU; version 2 leaves its
// own alone.
struct CosyVoiceFiles {
  std::string_view architecture;
  std::span<const std::string_view> needed;
  std::span<const std::string_view> optional;
};
constexpr auto kCosyVoiceNeeds = std::to_array<std::string_view>(
    {"llm.pt", "flow.pt", "hift.pt", "campplus.onnx", "speech_tokenizer_v1.onnx"});
constexpr auto kCosyVoiceTakes = std::to_array<std::string_view>(
    {"spk2info.pt", "llm.text_encoder.fp16.zip", "llm.llm.fp16.zip", "flow.encoder.fp32.zip"});
constexpr auto kCosyVoice2Needs = std::to_array<std::string_view>(
    {"llm.pt", "flow.pt", "hift.pt", "campplus.onnx", "speech_tokenizer_v2.onnx",
     "CosyVoice-BlankEN/model.safetensors"});
constexpr auto kCosyVoice2Takes = std::to_array<std::string_view>({"spk2info.pt"});
constexpr CosyVoiceFiles kCosyVoice = {
    .architecture = "cosyvoice", .needed = kCosyVoiceNeeds, .optional = kCosyVoiceTakes};
constexpr CosyVoiceFiles kCosyVoice2 = {
    .architecture = "cosyvoice2", .needed = kCosyVoice2Needs, .optional = kCosyVoice2Takes};

Result<std::optional<ModelProfile>> profile_cosyvoice(const FileSet& files) {
  const CosyVoiceFiles* layout = &kCosyVoice2;
  std::string_view config = kCosyVoiceConfig;
  if (files.contains(config)) {
    BERTH_TRY(const auto text, read_text(files, config));
    if (lower_case(text).find("qwen2") == std::string::npos) layout = &kCosyVoice;
  } else if (files.contains(kCosyVoice2Config)) {
    config = kCosyVoice2Config;
  } else {
    return std::nullopt;
  }
  auto profile = speech_profile(files, layout->architecture, Category::text_to_speech);
  profile.format = FileFormat::pytorch;
  profile.model_type = config;
  BERTH_CHECK(add_files(profile, files, layout->needed));
  for (const std::string_view path : layout->optional) {
    if (!files.contains(path)) continue;
    BERTH_CHECK(add_files(profile, files, {&path, 1}));
  }
  return profile;
}

// Whether config.json is the one that CTranslate2 writes: that of transformers has alignment heads
// elsewhere and never these two together.
Result<bool> is_converted_whisper(const FileSet& files) {
  BERTH_TRY(const auto config, read_hint(files, "config.json"));
  return config.contains("alignment_heads") && config.contains("suppress_ids");
}

// Whether the files beside model.bin say that it is a Whisper: a processor of that name, or the
// config.json that CTranslate2 writes.
Result<bool> describes_whisper(const FileSet& files) {
  BERTH_TRY(const auto object, read_hint(files, "preprocessor_config.json"));
  const ConfigKeys processor(object, "preprocessor_config.json: ");
  if (processor.text("processor_class") == "WhisperProcessor" ||
      processor.text("feature_extractor_type") == "WhisperFeatureExtractor") {
    return true;
  }
  return is_converted_whisper(files);
}

void describe_whisper(const CTranslate2Model& whisper, ModelProfile& profile) {
  profile.vocabulary = whisper.vocabulary;
  profile.embedding_length = whisper.embedding_length;
  if (whisper.weight_type.starts_with("INT")) {
    profile.quantization = whisper.weight_type;
  } else {
    profile.weight_type = whisper.weight_type;
  }
}

Result<std::optional<CTranslate2Model>> read_model_bin(const FileSet& files) {
  BERTH_TRY(const auto source, files.open("model.bin"));
  auto converted = read_ctranslate2(*source);
  if (!converted) {
    return fail(std::move(converted).error().context("reading {}", files.locate("model.bin")));
  }
  return converted;
}

// A model.bin whose head says WhisperSpec is one for certain; the files beside it only make the
// difference between another kind of model and a Whisper that is broken.
Result<std::optional<ModelProfile>> profile_faster_whisper(const FileSet& files) {
  constexpr std::string_view kWeights = "model.bin";
  if (!files.contains(kWeights)) {
    BERTH_TRY(const bool converted, is_converted_whisper(files));
    if (!converted) return std::nullopt;
    return fail(ErrorCode::not_found, "{} holds no weights: there is no {}", files.name(),
                kWeights);
  }
  BERTH_TRY(const auto converted, read_model_bin(files));
  if (converted && converted->specification != "WhisperSpec") return std::nullopt;
  if (!converted) {
    BERTH_TRY(const bool described, describes_whisper(files));
    if (!described) return std::nullopt;
    return fail(ErrorCode::corrupt,
                "{}: it is no model of CTranslate2, though the files beside it describe a Whisper; "
                "fetch it again",
                files.locate(kWeights));
  }
  // Without this file vox-box does not take the model.
  BERTH_CHECK(locate_file(files, "tokenizer.json"));
  auto profile = speech_profile(files, "faster-whisper", Category::speech_to_text);
  profile.format = FileFormat::ctranslate2;
  describe_whisper(*converted, profile);
  BERTH_CHECK(add_files(profile, files, {&kWeights, 1}));
  return profile;
}

// The value of a key at the outermost level of a YAML text: enough for the one word that is wanted.
std::string yaml_word(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
    if (!line.starts_with(key) || !line.substr(key.size()).starts_with(':')) continue;
    line.remove_prefix(key.size() + 1);
    constexpr std::string_view kAround = " \t\r'\"";
    line = line.substr(0, line.find(" #"));
    const std::size_t first = line.find_first_not_of(kAround);
    if (first == line.npos) return {};
    return printable(line.substr(first, line.find_last_not_of(kAround) + 1 - first), 64);
  }
  return {};
}

Result<std::string> funasr_architecture(const FileSet& files, const std::string& path) {
  if (!files.contains(path)) return std::string{};
  BERTH_TRY(const auto text, read_text(files, path));
  return yaml_word(text, "model");
}

// ModelScope's description of a model, which lists the files that FunASR opens.
Result<std::optional<ModelProfile>> profile_funasr(const FileSet& files) {
  BERTH_TRY(const auto object, read_hint(files, "configuration.json"));
  const ConfigKeys configuration(object, "configuration.json: ");
  const auto model = configuration.inside("model");
  if (configuration.text("task") != "auto-speech-recognition" || !model ||
      model->text("type") != "funasr") {
    return std::nullopt;
  }
  const auto paths = configuration.inside("file_path_metas");
  const auto path_of = [&](std::string_view key, std::string_view usual) {
    const std::string path = paths ? paths->text(key) : "";
    return path.empty() ? std::string(usual) : path;
  };
  auto profile = speech_profile(files, "funasr", Category::speech_to_text);
  profile.format = FileFormat::pytorch;
  BERTH_TRY(profile.model_type, funasr_architecture(files, path_of("config", "config.yaml")));
  const std::string path = path_of("init_param", "model.pt");
  const std::string_view weights = path;
  BERTH_CHECK(add_files(profile, files, {&weights, 1}));
  return profile;
}

// Qwen-Audio, which vox-box serves through FunASR: a Qwen (the first) with an audio tower.
Result<std::optional<ModelProfile>> profile_qwen_audio(const FileSet& files,
                                                       const ConfigKeys& config) {
  const auto audio = config.inside("audio");
  if (!has_architecture(config, "QWenLMHeadModel") || !audio ||
      audio->real("n_layer").value_or(0) == 0) {
    return std::nullopt;
  }
  auto profile = speech_profile(files, "funasr", Category::speech_to_text);
  profile.model_type = "QwenAudio";
  profile.needs_own_code = config.has("auto_map");
  BERTH_CHECK(add_weights(profile, files));
  return profile;
}

Result<std::optional<ModelProfile>> profile_bark(const FileSet& files, const ConfigKeys& config) {
  if (!has_architecture(config, "BarkModel")) return std::nullopt;
  auto profile = speech_profile(files, "bark", Category::text_to_speech);
  profile.model_type = printable(config.text("model_type"), 64);
  // The .pt files in its repository are those of Suno's own program.
  BERTH_CHECK(add_weights(profile, files));
  return profile;
}

Result<std::optional<ModelProfile>> profile_dia(const FileSet& files, const ConfigKeys& config) {
  constexpr auto kKeys = std::to_array<std::string_view>(
      {"audio_bos_value", "audio_eos_value", "audio_pad_value", "audio_length", "delay_pattern"});
  const auto data = config.inside("data");
  if (!data || !std::ranges::all_of(kKeys, [&](std::string_view key) { return data->has(key); })) {
    return std::nullopt;
  }
  auto profile = speech_profile(files, "dia", Category::text_to_speech);
  profile.format = FileFormat::safetensors;
  // Its dia-v0_1.pth is for versions of Dia older than the one in vox-box.
  constexpr std::string_view kWeights = "model.safetensors";
  BERTH_CHECK(add_files(profile, files, {&kWeights, 1}));
  return profile;
}

// The first layout that the files have, in vox-box's own order.
Result<std::optional<ModelProfile>> read_layout(const FileSet& files) {
  for (const auto& read : {profile_cosyvoice, profile_faster_whisper, profile_funasr}) {
    BERTH_TRY(auto profile, read(files));
    if (profile) return profile;
  }
  if (!files.contains("config.json")) return std::nullopt;
  BERTH_TRY(const auto object, read_json(files, "config.json"));
  const ConfigKeys config(object, "config.json: ");
  for (const auto& read : {profile_qwen_audio, profile_bark, profile_dia}) {
    BERTH_TRY(auto profile, read(files, config));
    if (profile) return profile;
  }
  return std::nullopt;
}

}  // namespace

Result<std::optional<ModelProfile>> profile_audio(const FileSet& files) {
  BERTH_TRY(auto profile, read_layout(files));
  if (profile) {
    if (const auto* known = find_known_audio(*profile)) profile->name = known->name;
  }
  return profile;
}

}  // namespace berth::formats
