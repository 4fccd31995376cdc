// What llama.cpp makes of token ids and of lines, for language_model.py's `llama`.
//
//     llama_logits GGUF logits CHUNK < ids (u16) > logits (f32, [ids, vocabulary])
//     llama_logits GGUF tokens < lines > for each line its count of ids and the ids (u32)
//
// Built against the llama.cpp of PyPI's llama-cpp-python source distribution, configured with GGML_NATIVE=ON:
//
//     g++ -O2 -std=c++17 -I llama.cpp/include -I llama.cpp/ggml/include llama_logits.cpp src/libllama.a \
//         ggml/src/libggml.a ggml/src/libggml-cpu.a ggml/src/libggml-base.a -fopenmp -lpthread -ldl -o llama_logits

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "llama.h"

static void fail(const char *what) {
    std::fprintf(stderr, "llama_logits: %s\n", what);
    std::exit(1);
}

static void tokens(const llama_vocab *vocab) {
    std::string line;
    std::vector<llama_token> ids(1 << 16);
    while (std::getline(std::cin, line)) {
        int count = llama_tokenize(vocab, line.data(), line.size(), ids.data(), ids.size(), false, false);
        if (count < 0) fail("a line is too long");
        uint32_t length = count;
        std::fwrite(&length, 4, 1, stdout);
        std::fwrite(ids.data(), 4, count, stdout);
    }
}

static void logits(llama_model *model, int chunk) {
    std::vector<char> bytes{std::istreambuf_iterator<char>(std::cin), {}};
    std::vector<uint16_t> ids(bytes.size() / 2);
    std::memcpy(ids.data(), bytes.data(), ids.size() * 2);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = chunk;
    params.n_threads = params.n_threads_batch = 2;
    llama_context *context = llama_init_from_model(model, params);
    if (!context) fail("no context");
    const size_t width = llama_vocab_n_tokens(llama_model_get_vocab(model));
    for (size_t first = 0; first < ids.size(); first += chunk) {
        llama_memory_clear(llama_get_memory(context), true);
        llama_batch batch = llama_batch_init(chunk, 0, 1);
        batch.n_tokens = chunk;
        for (int place = 0; place < chunk; place++) {
            batch.token[place] = ids[first + place];
            batch.pos[place] = place;
            batch.n_seq_id[place] = 1;
            batch.seq_id[place][0] = 0;
            batch.logits[place] = 1;
        }
        if (llama_decode(context, batch)) fail("the batch does not run");
        for (int place = 0; place < chunk; place++) std::fwrite(llama_get_logits_ith(context, place), 4, width, stdout);
        llama_batch_free(batch);
    }
    llama_free(context);
}

int main(int count, char **words) {
    if (count < 3) fail("GGUF logits|tokens [CHUNK]");
    std::ios::sync_with_stdio(false);
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_model_params params = llama_model_default_params();
    params.vocab_only = std::string(words[2]) == "tokens";
    llama_model *model = llama_model_load_from_file(words[1], params);
    if (!model) fail("the model does not load");
    if (params.vocab_only) tokens(llama_model_get_vocab(model));
    else logits(model, count > 3 ? std::atoi(words[3]) : 512);
    llama_model_free(model);
}
