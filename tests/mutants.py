"""Known bugs, kept: each is one source line made wrong, and the test that must notice.

Most are bugs that people have really made in projects like this one. test_mutants.py proves that every one is killed.
The line is the exact source text and occurs once in its file; a test is a pytest node below tests/.
"""
from typing import NamedTuple


class Mutant(NamedTuple):
    bug: str
    file: str
    line: str
    becomes: str
    killed_by: str


def gradient(case):
    return f"test_ops.py::test_gradient_agrees_with_finite_differences[{case}]"


def forward(case):
    return f"test_ops.py::test_forward_agrees_with_the_scalar_loop[{case}]"


def dtype(case):
    return f"test_ops.py::test_float32_stays_float32_everywhere[{case}]"


def twin(case, bits=32):
    return f"test_twins.py::test_twin_agrees_with_the_definition[float{bits}-{case}]"


def whole(config, backend="numpy"):
    return f"test_gpt.py::test_gradient_of_every_parameter[{config}-{backend}]"


OPS, LAYERS, GPT, LOSSES = "minigpt/nn/ops.py", "minigpt/nn/layers.py", "minigpt/nn/gpt.py", "minigpt/nn/losses.py"
PARAMS, THREADS, OPTIM = "minigpt/nn/params.py", "minigpt/nn/threads.py", "minigpt/train/optim.py"
BATCHES, TRAINER, CHECKPOINT = "minigpt/train/batches.py", "minigpt/train/trainer.py", "minigpt/train/checkpoint.py"
SAMPLING, GENERATE, TEMPLATE = "minigpt/sample/sampling.py", "minigpt/sample/generate.py", "minigpt/text/template.py"
KERNELS = "minigpt/nn/kernels"
BLOCK = "test_kernels_block.py::test_the_same_as_layer_by_layer[learned-None-float64-1e-12]"

MUTANTS = (
    # Operations
    Mutant("softmax backward returns zeros (a sum of the outputs has gradient 0, so a lazy check agrees)", OPS,
           "return p * (dp - (dp * p).sum(axis=-1, keepdims=True))", "return 0.0 * dp", gradient("softmax-rows")),
    Mutant("softmax overflows", OPS, "p = np.exp(x - x.max(axis=-1, keepdims=True))", "p = np.exp(x)",
           "test_ops.py::test_large_inputs_do_not_overflow[softmax-rows]"),
    Mutant("scores without 1/sqrt(D)", OPS, "scores = (query @ key.swapaxes(-1, -2)) * (1.0 / math.sqrt(D))",
           "scores = query @ key.swapaxes(-1, -2)", forward("attention-plain")),
    Mutant("scores scaled by the model's width", OPS, "scores = (query @ key.swapaxes(-1, -2)) * (1.0 / math.sqrt(D))",
           "scores = (query @ key.swapaxes(-1, -2)) * (1.0 / math.sqrt(H * D))", forward("attention-plain")),
    Mutant("backward without 1/sqrt(D)", OPS, "dscores *= 1.0 / math.sqrt(D)", "dscores *= 1.0", gradient("attention-plain")),
    Mutant("a position sees its successor", OPS, "hidden = np.broadcast_to(distance < 0, (B, T, T))",
           "hidden = np.broadcast_to(distance < -1, (B, T, T))", "test_gpt.py::test_the_future_cannot_be_seen[learned-numpy]"),
    Mutant("packed documents see one token of their predecessor", OPS, "hidden | (np.arange(T) < starts[:, :, None])",
           "hidden | (np.arange(T) < starts[:, :, None] - 1)", "test_gpt.py::test_packed_documents_equal_separate_ones[rope-numpy]"),
    Mutant("ALiBi rewards distance", OPS, "scores -= slopes.reshape(K, H // K, 1, 1)",
           "scores += slopes.reshape(K, H // K, 1, 1)", forward("attention-slopes")),
    Mutant("a shared key head gets the mean of its queries' gradients", OPS, "dk = dkey.sum(axis=2)", "dk = dkey.mean(axis=2)",
           gradient("attention-grouped")),
    Mutant("grouped queries are dealt out in turn", OPS,
           "query = q.reshape(B, T, K, H // K, D).transpose(0, 2, 3, 1, 4)  # (B, K, G, T, D)",
           "query = q.reshape(B, T, H // K, K, D).transpose(0, 3, 2, 1, 4)", forward("attention-grouped")),
    Mutant("layernorm backward forgets the gain", OPS,
           "dgain = (dy * xhat).sum(axis=rows)  # y = xhat * gain\n    dxhat = dy * gain",
           "dgain = (dy * xhat).sum(axis=rows)\n    dxhat = dy * 1.0", gradient("layernorm-bias")),
    Mutant("layernorm backward takes the mean for a constant", OPS, "dx = dxhat - dxhat.mean(axis=-1, keepdims=True) - xhat",
           "dx = dxhat - xhat", gradient("layernorm-bias")),
    Mutant("layernorm with the unbiased variance", OPS, "variance = (centred * centred).mean(axis=-1, keepdims=True)",
           "variance = (centred * centred).sum(axis=-1, keepdims=True) / (x.shape[-1] - 1)", forward("layernorm-bias")),
    Mutant("rmsnorm without eps", OPS, "rstd = 1.0 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)",
           "rstd = 1.0 / np.sqrt((x * x).mean(axis=-1, keepdims=True))", forward("rmsnorm-large_eps")),
    Mutant("rope backward turns forward", OPS, "return rope_forward(dy, cos, -sin)[0]", "return rope_forward(dy, cos, sin)[0]",
           gradient("rope-shared_positions")),
    Mutant("rope is no rotation", OPS, "y[..., half:] = second * c + first * s", "y[..., half:] = second * c - first * s",
           forward("rope-shared_positions")),
    Mutant("gelu backward loses a 3", OPS, "dinner = GELU_SCALE * (1.0 + 3.0 * GELU_CUBE * x * x)",
           "dinner = GELU_SCALE * (1.0 + GELU_CUBE * x * x)", gradient("gelu-tanh")),
    Mutant("a NumPy scalar widens float32", OPS, "GELU_SCALE = math.sqrt(2.0 / math.pi)", "GELU_SCALE = np.sqrt(2.0 / math.pi)",
           dtype("gelu-tanh")),
    Mutant("swiglu backward takes sigmoid for silu's slope", OPS,
           "dgate = dsilu * sigmoid * (1.0 + gate * (1.0 - sigmoid))", "dgate = dsilu * sigmoid", gradient("swiglu-gated")),
    Mutant("the last of two equal ids gets the gradient", OPS, "np.add.at(dweight, ids.reshape(-1), dx.reshape(-1, shape[1]))",
           "dweight[ids.reshape(-1)] = dx.reshape(-1, shape[1])", gradient("embedding-repeated_ids")),
    Mutant("dropout does not scale what it keeps", OPS, ".astype(x.dtype) * (1.0 / (1.0 - p))", ".astype(x.dtype)",
           forward("dropout-training")),
    Mutant("dropout backward lets everything through", OPS, "return dy if cache is None else dy * cache", "return dy",
           gradient("dropout-training")),
    Mutant("cross-entropy's rows are not weighted", OPS, "dlogits *= dnll[:, None]", "dlogits *= 1.0",
           gradient("cross_entropy-rows")),
    Mutant("a backward spoils its input", OPS, "dy2 = dy.reshape(-1, dy.shape[-1])  # (N, O)",
           "dy2 = dy.reshape(-1, dy.shape[-1])\n    dy2 *= 1.5",
           "test_ops.py::test_backward_twice_is_the_same_and_leaves_its_inputs_alone[linear-bias]"),
    Mutant("Adam's variance is not corrected", OPS, "denominator = np.sqrt(v * (1.0 / (1.0 - beta2**step))) + eps",
           "denominator = np.sqrt(v) + eps", "test_optim.py::test_adamw_is_the_papers[numpy-float64-1e-12]"),
    Mutant("weight decay without the learning rate", OPS, "p *= 1.0 - lr * decay\n    p -= (lr", "p *= 1.0 - decay\n    p -= (lr",
           "test_optim.py::test_weight_decay_is_for_matrices_only"),

    # Layers and the model
    Mutant("weight decay on biases", LAYERS, 'return [weight, Spec(f"{name}.bias", (n_out,))] if config.bias else [weight]',
           'return [weight, Spec(f"{name}.bias", (n_out,), decay=True)] if config.bias else [weight]',
           "test_gpt.py::test_initial_weights_and_what_decays"),
    Mutant("the residual projections start as large as the rest", LAYERS, "return 0.02 / math.sqrt(2 * config.n_layer)",
           "return 0.02", "test_gpt.py::test_initial_weights_and_what_decays"),
    Mutant("a layer overwrites its gradient", LAYERS, 'g[f"{name}.weight"] += dweight', 'g[f"{name}.weight"] = dweight',
           "test_gpt.py::test_gradients_are_added_and_go_where_they_are_told[numpy]"),
    Mutant("the residual path is cut in the backward", LAYERS, 'dx = dy + norm.backward(p, g, f"{name}.ln_2", dh, norm2, ctx)',
           'dx = norm.backward(p, g, f"{name}.ln_2", dh, norm2, ctx)', whole("layernorm-gelu-learned")),
    Mutant("two dropouts share one mask in the backward", LAYERS, "dh = ctx.ops.dropout_backward(dx, drop1)",
           "dh = ctx.ops.dropout_backward(dx, drop2)", whole("layernorm-gelu_erf-rope-tied-bias-dropout")),
    Mutant("values are turned like keys", LAYERS, "turned[...] = ctx.ops.rope_backward(turned, rope)", "pass",
           whole("layernorm-gelu_erf-rope-tied-bias-dropout")),
    Mutant("cached decoding counts distances from the new tokens", LAYERS, "distance = np.arange(length, end)[:, None] - np.arange(end)",
           "distance = np.arange(length, end)[:, None] - np.arange(end) + length",
           "test_gpt.py::test_cached_decoding_equals_the_full_forward[(5, 1, 1, 2)-rope-numpy]"),
    Mutant("cached decoding lets padding be seen", LAYERS, "hidden = hidden | (np.arange(end) < ctx.starts[:, :, None])",
           "hidden = hidden | (np.arange(end) < 0 * ctx.starts[:, :, None])",
           "test_gpt.py::test_left_padded_rows_decode_as_if_alone[(4, 1, 1, 1, 1)-rope-numpy]"),
    Mutant("a tied gradient is overwritten", GPT, 'grads["wte.weight"] += self.ops.embedding_backward(dx, tokens)',
           'grads["wte.weight"] = self.ops.embedding_backward(dx, tokens)', whole("layernorm-gelu_erf-rope-tied-bias-dropout")),
    Mutant("positions run on across packed documents", GPT, "positions = positions - starts  # (B, T)", "positions = positions + 0 * starts",
           "test_gpt.py::test_packed_documents_equal_separate_ones[learned-numpy]"),
    Mutant("the second norm takes the first one's gain", LAYERS,
           'h, norm2 = norm.forward(p, f"{name}.ln_2", x, ctx)', 'h, norm2 = norm.forward(p, f"{name}.ln_1", x, ctx)',
           "test_gpt.py::test_logits_agree_with_scalar_loops[layernorm-gelu-learned]"),
    Mutant("sinusoidal positions are subtracted", GPT, "x = x + self.tables.added[ctx.positions]", "x = x - self.tables.added[ctx.positions]",
           "test_gpt.py::test_logits_agree_with_scalar_loops[layernorm-gelu-sinusoidal-tied-bias-grouped]"),
    Mutant("a copy shares its parameters", GPT, "other.params, other._grads = self.params.copy(), None",
           "other.params, other._grads = self.params, None", "test_gpt.py::test_a_copy_shares_no_memory"),
    Mutant("writing to a name puts another array there", PARAMS, "view[...] = value", "self._views[name] = value",
           "test_gpt.py::test_names_are_windows_into_one_buffer"),

    # Losses, batches, template
    Mutant("every shard divides by its own tokens", LOSSES,
           "float(denominator) if denominator is not None else tokens or 1.0", "tokens or 1.0",
           "test_losses.py::test_shards_add_up[numpy]"),
    Mutant("the mean runs over masked positions too", LOSSES, "tokens = float(weight.sum())", "tokens = float(weight.size)",
           "test_losses.py::test_mean_over_the_kept_positions[numpy]"),
    Mutant("the mask stays out of the gradient", LOSSES, "ops.cross_entropy_backward(weight * scale, cache)",
           "ops.cross_entropy_backward(np.full_like(weight, scale), cache)", "test_losses.py::test_gradient[numpy-True-None]"),
    Mutant("the loss mask is off by one", BATCHES, "self.mask[rows, 1:]", "self.mask[rows, :-1]",
           "test_batches.py::test_packed_examples_stay_whole_and_keep_their_mask"),
    Mutant("starts belong to the targets", BATCHES, "self.starts[rows, :-1]", "self.starts[rows, 1:]",
           "test_batches.py::test_packed_examples_stay_whole_and_keep_their_mask"),
    Mutant("a document is predicted from the end of another", BATCHES,
           "inside = (self.starts[rows, 1:] == starts).astype(np.float32)", "inside = np.ones(starts.shape, np.float32)",
           "test_batches.py::test_documents_of_the_stream_do_not_meet"),
    Mutant("every epoch has the same order", BATCHES, "np.random.default_rng([seed, epoch])", "np.random.default_rng([seed])",
           "test_batches.py::test_an_epoch_reads_every_row_once_and_the_next_in_another_order"),
    Mutant("the end of an answer is masked out: replies never stop", TEMPLATE, "mask += [0] + [learned] * (len(content) + 1)",
           "mask += [0] + [learned] * len(content) + [0]", "test_template.py::test_render"),

    # Training
    Mutant("answers send their gradient to the first positions", OPS, "whole.reshape(-1, shape[-1])[kept] = dx",
           "whole.reshape(-1, shape[-1])[: len(kept)] = dx",
           "test_gpt.py::test_positions_that_count_are_computed_as_among_all[layernorm-gelu-learned-numpy]"),
    Mutant("gradients of the last step stay in the buffer", TRAINER, "buffers[i].flat[:] = 0.0", "buffers[i].flat[:0] = 0.0",
           "test_trainer.py::test_training_learns"),
    Mutant("the trainer's shards divide by their own tokens", TRAINER, "shard_gradient(model, shards[i], denominator, buffers[i], rng)",
           "shard_gradient(model, shards[i], shards[i].tokens(), buffers[i], rng)",
           "test_trainer.py::test_shards_add_up_to_the_whole_batch[2-sft]"),
    Mutant("a shard's gradient is lost", TRAINER, "for buffer in buffers[1 : len(shards)]:", "for buffer in buffers[2 : len(shards)]:",
           "test_trainer.py::test_shards_add_up_to_the_whole_batch[3-pretrain]"),
    Mutant("every shard drops the same values", TRAINER, "np.random.default_rng([*seed, i])", "np.random.default_rng(seed)",
           "test_trainer.py::test_every_shard_drops_other_values"),
    Mutant("NaN is trained on", TRAINER, "if not odd:", "if True:",
           "test_trainer.py::test_a_gradient_that_is_no_number_stops_the_run_and_keeps_the_checkpoint"),
    Mutant("a resumed run begins its schedule anew", CHECKPOINT, 'state.step = int(metadata["step"])', "state.step = 0",
           "test_trainer.py::test_resuming_gives_the_same_bits[sft-adamw]"),
    Mutant("a resumed run forgets Adam's moments", CHECKPOINT,
           'return {"params": model.params, "mean": state.mean, "variance": state.variance}', 'return {"params": model.params}',
           "test_trainer.py::test_resuming_gives_the_same_bits[sft-adamw]"),
    Mutant("a resumed run keeps the log of steps that it makes again", TRAINER, "return log[: state.step]", "return log",
           "test_crash.py::test_a_disk_that_fills_up_keeps_the_last_checkpoint"),
    Mutant("a full disk is noticed hours later", TRAINER, "if run.folder and state.step < config.steps:", "if False:",
           "test_crash.py::test_a_full_disk_is_noticed_before_the_first_step"),
    Mutant("what nohup ignores is obeyed", TRAINER, "number is None or signal.getsignal(number) == signal.SIG_IGN", "number is None",
           "test_crash.py::test_a_closed_terminal_is_a_reason_to_save_unless_it_is_ignored[under nohup]"),
    Mutant("a signal is obeyed without saving", TRAINER, "if run.folder and (last or stop or", "if run.folder and (last or",
           "test_crash.py::test_a_signal_at_any_moment[evaluate_loss-1-SIGINT]"),
    Mutant("tuning goes on from another base model", "minigpt/train/sft.py", "checkpoint.fingerprint(model.params.flat)", '""',
           "test_resume.py::test_changed_data_are_refused"),
    Mutant("settings are compared before the checksum", CHECKPOINT, "arrays = safetensors.load_file(path)  # first", "arrays = {}  # first",
           "test_resume.py::test_flipped_bits_and_cut_ends_of_a_checkpoint"),
    Mutant("one worker sums in another order", THREADS, "if shards > 1 and not stack.enter_context(blas_threads(1)):",
           "if workers > 1 and not stack.enter_context(blas_threads(1)):",
           "test_trainer.py::test_workers_see_a_blas_of_one_thread_and_the_user_gets_theirs_back[1]"),
    Mutant("clipping normalises to 1", OPTIM, "grads.flat *= largest / norm", "grads.flat *= 1.0 / norm",
           "test_optim.py::test_clipping_shortens_and_keeps_the_direction"),
    Mutant("Muon leaves tall matrices lying", OPS, "return x.T if tall else x", "return np.ascontiguousarray(x.T).reshape(matrix.shape)",
           "test_optim.py::test_muon_moves_every_direction_equally"),

    Mutant("tuning forgets to replay pretraining text", "minigpt/train/sft.py",
           "return min(max(1, round(per_step * config.replay)), per_step - 1)", "return min(0, per_step - 1)",
           "test_trainer.py::test_tuning_replays_its_share_of_pretraining_text"),

    Mutant("replayed text outweighs the answers", "minigpt/train/sft.py", "mask=mask * np.float32(weight)", "mask=mask",
           "test_trainer.py::test_tuning_replays_its_share_of_pretraining_text"),
    Mutant("Muon climbs", OPS, "p -= lr * math.sqrt(", "p += lr * math.sqrt(", "test_optim.py::test_muon_is_momentum_then_orthogonalised"),
    Mutant("Muon's momentum looks back only", OPS, "orthogonalise((1.0 - MUON_MOMENTUM) * g + MUON_MOMENTUM * m)", "orthogonalise(m)",
           "test_optim.py::test_muon_is_momentum_then_orthogonalised"),
    Mutant("the gradient check has an absolute tolerance", "minigpt/nn/gradcheck.py", "1e-9 * max(1.0, abs(f(x)))", "1.0",
           "test_gradcheck.py::test_it_rejects_what_looser_recipes_accept"),
    Mutant("the gradient check takes NaN for agreement", "minigpt/nn/gradcheck.py", "worst = float(np.max([worst, *errors]))",
           "worst = max(worst, *errors)", "test_gradcheck.py::test_an_operation_is_rejected_for_any_of_its_inputs"),

    # Sampling
    Mutant("the nucleus leaves out the token that fills it", SAMPLING, "kept = np.where(before < top_p, sorted_p, 0.0)",
           "kept = np.where(before + sorted_p < top_p, sorted_p, 0.0)",
           "test_sampling.py::test_filters_keep_the_likeliest[{'top_p': 0.5}-2]"),
    Mutant("the repetition penalty rewards unlikely tokens", SAMPLING, "row[ids] / penalty, row[ids] * penalty)",
           "row[ids] / penalty, row[ids] / penalty)", "test_sampling.py::test_repetition_penalty_lowers_both_signs"),
    Mutant("a draw of exactly 0 takes an impossible token", SAMPLING, "(cumulative <= target).sum(axis=1)",
           "(cumulative < target).sum(axis=1)", "test_sampling.py::test_a_draw_never_takes_an_impossible_token"),
    Mutant("rows that go on take over their neighbours' padding", GENERATE,
           "kv.values[:, :count], kv.pad[order]", "kv.values[:, :count], kv.pad[:count]",
           "test_sampling.py::test_a_stop_token_ends_its_row_and_is_not_part_of_it[numpy]"),
    Mutant("a full cache forgets tokens that are no padding in other rows", GENERATE, "least = int(kv.pad.min())",
           "least = int(kv.pad.max())", "test_sampling.py::test_greedy_generation_is_the_argmax_of_the_full_forward[rope-numpy]"),

    # Asking and counting
    Mutant("a long conversation loses its system message", "minigpt/model.py", "ids = sum((*turns[:first], *turns[oldest:], answer), [])",
           "ids = sum((*turns[oldest:], answer), [])", "test_model.py::test_a_long_conversation_loses_its_oldest_turns"),
    Mutant("ids without a token are drawn", GENERATE, "_choose(logits[:, :vocab_size], rows", "_choose(logits, rows",
           "test_sampling.py::test_ids_without_a_token_are_never_drawn"),
    Mutant("an export replaces a model of other origin", "minigpt/commands/folders.py", "if not _may_replace(Path(arguments.out)):", "if False:",
           "test_huggingface.py::test_a_model_of_other_origin_is_not_written_over"),
    Mutant("a run replaces files that no run wrote", "minigpt/commands/stages.py", "and not _of_a_run(folder / name):", "and False:",
           "test_stages.py::test_a_file_that_no_run_wrote_is_not_overwritten[train.json]"),
    Mutant("answers come back in the order of length", "minigpt/evaluate/tasks.py", "for i, text in zip(chunk, texts):",
           "for i, text in enumerate(texts):", "test_tasks.py::test_answers_go_to_their_questions"),
    Mutant("an answer's tokens are matched with the wrong positions", "minigpt/sample/explain.py", "logits[0, len(prompt) - 1 :]",
           "logits[0, len(prompt) - 1 :][::-1]", "test_chat.py::test_the_chain_rule"),

    # Kernels
    Mutant("the kernel's causal mask is off by one", f"{KERNELS}/attention.py", "if first[c] <= key and key <= last[c] else hidden",
           "if first[c] <= key and key <= last[c] + 1 else hidden", twin("attention-plain")),
    Mutant("the kernel masks no tile but the last", f"{KERNELS}/attention.py", "if k > t or k < until:", "if k > t:",
           twin("attention-starts")),
    Mutant("the kernel forgets the row's sum in the softmax backward", f"{KERNELS}/attention.py",
           "ds[c] = p[c] * (ds[c] - delta", "ds[c] = p[c] * (ds[c] - 0 * delta", twin("attention-grouped")),
    Mutant("the kernel's key gradients are not emptied for the next head", f"{KERNELS}/attention.py", "dkey[:] = 0", "dkey[:0] = 0",
           twin("attention-grouped")),
    Mutant("the block's kernel loses the gradient that comes along the residual path", f"{KERNELS}/block.py", "_add(dy, dx)", "pass", BLOCK),
    Mutant("the block's kernel overwrites the weights' gradients", f"{KERNELS}/block.py", "_linear_backward(dy, x, weight, dx, dweight, dbias, 1)",
           "_linear_backward(dy, x, weight, dx, dweight, dbias, 0)", BLOCK),
    Mutant("GELU has other last bits as a part of another kernel", f"{KERNELS}/activations.py", "@jit(in_order=True)\ndef _gelu(", "@jit\ndef _gelu(",
           "test_kernels_cache.py::test_kernels_give_the_same_bits_compiled_just_now_and_from_the_cache"),
    Mutant("the block's kernel leaves attention's gradient where the kept positions are", f"{KERNELS}/block.py",
           "spread(dout, kept, rows.shape)", "spread(dout, np.arange(len(kept)), rows.shape)", BLOCK),
    Mutant("half of a product with itself is left out", f"{KERNELS}/matmul.py", "out[j, i] = out[i, j]", "out[j, i] = out[j, i]",
           "test_kernels.py::test_products_of_every_size[(61, 257, 65)-float32-1e-05]"),
    Mutant("an id that occurs twice keeps only its last gradient", f"{KERNELS}/embedding.py", "row[c] += drow[c]", "row[c] = drow[c]", twin("embedding-repeated_ids")),
    Mutant("the kernel turns half of the channels the wrong way", f"{KERNELS}/rope.py", "second[i] * c[i] + direction * first[i] * s[i]",
           "second[i] * c[i] - direction * first[i] * s[i]", twin("rope-own_positions")),
    Mutant("the kernel's GELU has a slope of its own", f"{KERNELS}/activations.py", "x.dtype.type(3) * cube", "x.dtype.type(2) * cube", twin("gelu-tanh")),
    Mutant("the fused step counts padding as positions", f"{KERNELS}/decode.py", "len(offsets) - 1, length - pad", "len(offsets) - 1, length",
           "test_kernels_decode.py::test_whole_vectors_of_keys_and_float32[rope]"),
    Mutant("weights in float16 outlive those that they were copied from", f"{KERNELS}/decode.py", "if before is not None and _equal(before, flat):",
           "if before is not None:", "test_kernels_decode.py::test_weights_that_float16_holds_are_read_as_float16"),
    Mutant("training computes with denormal numbers", TRAINER, "training_context(model.backend)", 'training_context("numpy")',
           "test_trainer.py::test_every_worker_takes_tiny_numbers_for_zero"),
    Mutant("a long sum keeps only its last piece", f"{KERNELS}/matmul.py", "tile(a, i, first, panel, 0, depth, out, i, j, 1, out, i, j)",
           "tile(a, i, first, panel, 0, depth, out, i, j, 0, out, i, j)", twin("linear-several_tiles")),
    Mutant("the second block of rows meets the last panel everywhere", f"{KERNELS}/matmul.py", "(j - left) // COLUMNS if height < M else 0", "0",
           "test_kernels.py::test_products_of_every_size"),
    Mutant("the kernel's cross-entropy reads one logit too few", f"{KERNELS}/cross_entropy.py",
           "for j in range(len(row)):\n            total += exp(row[j] - largest)",
           "for j in range(len(row) - 1):\n            total += exp(row[j] - largest)", twin("cross_entropy-rows")),
    Mutant("an imported exp loses a term (only a fresh cache notices)", f"{KERNELS}/exponential.py",
           "power = C0 + f * (C1 + f * (C2 + f * (C3 + f * (C4 + f * C5))))", "power = C0 + f * (C1 + f * (C2 + f * C3))",
           twin("cross_entropy-wide")),
    Mutant("the fast exp turns NaN into a number", f"{KERNELS}/exponential.py", "x = SMALLEST if x < SMALLEST else x",
           "x = x if x > SMALLEST else SMALLEST",
           "test_twins.py::test_nan_and_infinity_pass_through[nan-cross_entropy-rows-float32]"),
    Mutant("the kernel's layernorm gradient misses a direction", f"{KERNELS}/norms.py",
           "out[c] = (drow[c] * gain[c] - along_one - xhat * along_xhat) * rstd",
           "out[c] = (drow[c] * gain[c] - xhat * along_xhat) * rstd", twin("layernorm-bias")),
    Mutant("the kernel's Adam corrects by the wrong moment", f"{KERNELS}/adamw.py",
           "unbias_m, unbias_v = 1.0 / (1.0 - beta1**step), 1.0 / (1.0 - beta2**step)",
           "unbias_m, unbias_v = 1.0 / (1.0 - beta1**step), 1.0 / (1.0 - beta1**step)",
           "test_optim.py::test_adamw_is_the_papers[fast-float32-1e-05]"),
    Mutant("a kernel reads a bias that runs backwards as if it ran forwards", f"{KERNELS}/linear.py", "np.ascontiguousarray(bias, x.dtype).reshape(1, -1)",
           "np.asarray(bias, x.dtype).reshape(1, -1)", twin("linear-several_tiles")),
    Mutant("the kernels take an id that stands for nothing", f"{KERNELS}/shapes.py", "ids.max() < limit", "ids.max() <= limit",
           "test_twins.py::test_ids_that_stand_for_nothing_are_refused[3]"),
    Mutant("an answer outlives its question", "minigpt/model.py", "length -= sum(map(len, turns[oldest:later]))\n                oldest = max(oldest, later)",
           "length -= sum(map(len, turns[oldest : later - 1]))\n                oldest = max(oldest, later - 1)",
           "test_model.py::test_what_remains_of_a_conversation_begins_with_a_question"),
    Mutant("who types carelessly has no name", "minigpt/world/careless.py", "first and first[0].lower() in vocabulary(world):", "first:",
           "test_world.py::test_some_requests_of_training_are_typed_carelessly"),
    Mutant("conversations of the same tokens are the same data wherever they begin", "minigpt/train/sft.py", "for array in (data.tokens, data.starts, data.mask)",
           "for array in (data.tokens, data.mask)", "test_stages.py::test_other_conversations_of_the_same_tokens_are_other_data"),
)
