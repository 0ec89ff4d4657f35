#!/usr/bin/env python3
"""Tests of scenes, tokenizer, patches and decoding schedule; seconds, no training: python3 models/mini/test_recipe.py"""
import json
import random
import re
import tempfile
import unittest

import numpy as np
import torch

import block_causal
import evaluate
import experiments
import model
import reuse
import scenes
import tokenizer
import train


class Scenes(unittest.TestCase):
    def test_splits_share_no_content(self):
        rng = random.Random(3)
        seen = {scenes.describe(scenes.random_scene(rng, False)) for _ in range(2000)}
        kept = {scenes.describe(scenes.random_scene(rng, True)) for _ in range(500)}
        self.assertFalse(seen & kept)

    def test_same_seed_gives_the_same_pictures_and_questions(self):
        first, again = scenes.held_out_examples(30, 5), scenes.held_out_examples(30, 5)
        for (a, asked), (b, asked_again) in zip(first, again):
            self.assertEqual(asked, asked_again)
            np.testing.assert_array_equal(scenes.draw(a), scenes.draw(b))

    def test_centres_lie_in_the_named_cell(self):
        rng = random.Random(4)
        for _ in range(500):
            scene = scenes.random_scene(rng, True)
            for o in scene.items:
                self.assertEqual((3 * o.y // scene.height, 3 * o.x // scene.width), (o.row, o.col))

    def test_each_shape_shows_its_color_at_its_centre(self):
        rng = random.Random(8)
        for _ in range(200):
            scene = scenes.random_scene(rng, True)._replace(noise=(0, 0, 0), number=None)
            last = scene.items[-1]
            found = scenes.draw(scene)[last.y, last.x].astype(int)
            self.assertLessEqual(np.abs(found - np.array(last.rgb)).max(), 1)

    def test_json_answers_are_json(self):
        rng = random.Random(6)
        for _ in range(300):
            json.loads(scenes.random_example(rng, True, "json")[2])


    def test_answers_with_any_keys_are_json(self):
        rng = random.Random(7)
        for _ in range(300):
            question, answer = scenes.ask_fields(rng, scenes.random_scene(rng, False))
            keys = re.findall('"(\\w+)"', question)
            self.assertIn(keys, ([], list(json.loads(answer))))

    def test_descriptions_say_what_the_scene_shows(self):
        for scene, _ in scenes.held_out_examples(200, 9):
            self.assertEqual(experiments.claims(scenes.describe(scene)), experiments.facts(scene))
        self.assertIsNone(experiments.claims("A white background with a small red star."))

    def test_dense_labels_find_the_centres(self):
        rng = random.Random(10)
        for _ in range(50):
            scene = scenes.random_scene(rng, False)
            cols = scene.width // 28
            for token, label in enumerate(train.dense_labels([scene])[0].tolist()):
                if 0 < label[0] < 7 and label[9] not in (0, 7) and label[10] not in (0, 7):
                    y, x = 28 * (token // cols) + 14 + 7 * (label[9] - 4), 28 * (token % cols) + 14 + 7 * (label[10] - 4)
                    self.assertTrue(any(0 <= o.y - y < 7 and 0 <= o.x - x < 7 and scenes.SHAPES.index(o.shape) == label[0] - 1
                                        for o in scene.items))


class Lengths(unittest.TestCase):
    def test_padding_reaches_the_next_power_of_two_or_multiple_of_sixteen(self):
        rng = random.Random(11)
        for n, most in ((1, 2), (3, 4), (7, 8), (8, 16), (15, 16), (16, 32), (40, 48)):
            seen = {train.padded_length(rng, n, False) for _ in range(2000)}
            self.assertEqual((min(seen), max(seen)), (n + 1, most))
            self.assertEqual(experiments.padded(n), most)


class Text(unittest.TestCase):
    def setUp(self):
        self.tok = tokenizer.Tokenizer(tokenizer.train_merges(["a large red circle at the top left"] * 3, 30))

    def test_any_text_survives(self):
        for text in ("a large red circle", "  two  spaces\n\nand\tTabs", "Größe 1234 ½ 日本語 🙂 don't", ""):
            self.assertEqual(self.tok.decode(self.tok.encode(text)), text)

    def test_digits_stand_alone(self):
        self.assertEqual([self.tok.names[i] for i in self.tok.encode("42 7")], ["4", "2", "Ġ", "7"])

    def test_special_tokens_are_single_ids(self):
        ids = self.tok.encode(tokenizer.chat_prompt("Hello", 6))
        self.assertEqual(ids.count(self.tok.special["<|image_pad|>"]), 6)
        self.assertEqual(ids[0], self.tok.special["<|im_start|>"])

    def test_saved_files_load_again(self):
        with tempfile.TemporaryDirectory() as folder:
            self.tok.save(folder)
            self.assertEqual(tokenizer.Tokenizer.load(folder).names, self.tok.names)


class Model(unittest.TestCase):
    def test_patch_order(self):
        image = np.zeros((56, 84, 3), np.uint8)
        image[14:28, 42:56] = 255  # row 1, column 3 of the patch grid: block 1, lower right patch
        bright = model.patches(image[None])[0].mean(1)
        self.assertEqual(int(bright.argmax()), 1 * 4 + 3)

    def test_windows_of_five_by_six(self):
        order, lengths = model.window_order(5, 6)
        self.assertEqual(lengths, [16, 8, 4, 2])
        self.assertEqual(order[16:20], [4, 5, 10, 11])
        self.assertEqual(sorted(order), list(range(30)))

    def test_positions_around_a_picture(self):
        p = model.text_positions(10, 2, 2, 3)
        self.assertEqual(p[:, 7].tolist(), [2, 3, 4])  # last image token: row 1, column 2 from position 2
        self.assertEqual(p[:, 8].tolist(), [5, 5, 5])  # text goes on after max(2, 3) positions

    def test_hand_written_gradients(self):
        torch.manual_seed(0)
        x, w, up = torch.randn(3, 5, 8), torch.rand(8), torch.randn(3, 5, 8)
        for ours, plain, inputs in (
                (lambda a, b: model.NormFunction.apply(a, b, 1e-6),
                 lambda a, b: a / torch.sqrt((a * a).mean(-1, keepdim=True) + 1e-6) * b, (x, w)),
                (model.GateFunction.apply, lambda a, b: torch.nn.functional.silu(a) * b, (x, up))):
            results = []
            for f in (ours, plain):
                leaves = [t.clone().requires_grad_() for t in inputs]
                y = f(*leaves)
                results.append([y] + list(torch.autograd.grad((y * torch.cos(torch.arange(8.0))).sum(), leaves)))
            for a, b in zip(*results):
                self.assertTrue(torch.allclose(a, b, atol=1e-5))

    def test_schedule_of_eight_steps(self):
        levels = np.linspace(1, 1e-3, 9).astype(np.float32)
        left, counts = 8, []
        while left:
            counts.append(evaluate.unmask_count(left, 8, len(counts), levels))
            left -= counts[-1]
        self.assertEqual(counts, [1, 1, 1, 1, 1, 1, 2])


class Reuse(unittest.TestCase):
    """What reuse.py keeps is what a pass over everything computes, as long as nothing has changed."""

    def setUp(self):
        torch.manual_seed(2)
        self.model = model.Dimple(model.mini_config(64)).eval()
        self.body = reuse.Body(self.model, list(range(1, 9)), None, (0, 0), 5, 0)

    @torch.no_grad()
    def test_all_rows_are_a_pass(self):
        expected = self.model.lm_head(self.model.hidden(self.body.ids[None]))[0]
        torch.testing.assert_close(self.body.whole_rows(torch.arange(13)), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(self.body.whole_rows(torch.arange(8, 13)), expected[8:], rtol=1e-4, atol=1e-4)
        self.assertEqual(self.body.rows, 18)

    @torch.no_grad()
    def test_nothing_changed_nothing_computed_otherwise(self):
        expected = self.body.whole_rows(torch.arange(13))
        torch.testing.assert_close(self.body.changed_rows(0.4), expected, rtol=1e-4, atol=1e-4)
        self.assertLess(self.body.rows, 13 + 5)

    def test_caches_that_are_always_refreshed_change_nothing(self):
        ways = [reuse.Anew(), reuse.DelayedCache(1), reuse.AdaptiveCache(1, 1, 0.25)]
        answers = [reuse.decode(reuse.Body(self.model, list(range(1, 9)), None, (0, 0), 5, 0), way, None) for way in ways]
        self.assertEqual(answers[0][1], 5)
        self.assertEqual(answers[1:], answers[:1] * 2)


class BlockCausal(unittest.TestCase):
    """What training under block diffusion shows the model is what decoding does."""

    BLOCK = 8
    TURNS = [("How many squares are there?", "2"), ("Describe this image.", "A white background with a small yellow star at the top right."),
             ("Is there a red circle?", "Yes")]

    def setUp(self):
        torch.manual_seed(3)
        self.tok = tokenizer.Tokenizer(tokenizer.train_merges([" ".join(turn) for turn in self.TURNS] * 3, 60))
        self.model = model.Dimple(model.mini_config(len(self.tok))).eval()
        self.batch = block_causal.batch_of(random.Random(1), self.tok, [self.TURNS, self.TURNS[1:2]], 0, "Look.", self.BLOCK)

    @torch.no_grad()
    def test_a_noised_block_is_as_it_is_behind_its_prefix(self):
        ids, places, copies, answer = self.batch
        given = ids.masked_fill(answer & (torch.rand(ids.shape) < 0.5), self.model.cfg["mask_token_id"])
        z = self.model.lm_head(block_causal.states(self.model, given, places, copies, None, (0, 0), self.BLOCK))
        blocks = 0
        for row in range(2):
            clean = ids[row][copies[row] == block_causal.CLEAN]
            for copy in range(1, int(copies[row].max()) + 1):
                mine = copies[row] == copy
                for begin in sorted(set((places[row][mine] // self.BLOCK * self.BLOCK).tolist())):
                    rows = mine & (places[row] // self.BLOCK * self.BLOCK == begin)
                    alone = block_causal.logits(self.model, torch.cat([clean[:begin], given[row][rows]]), None, (0, 0), self.BLOCK)
                    torch.testing.assert_close(z[row][rows], alone[begin:], rtol=1e-4, atol=1e-4)
                    blocks += 1
        self.assertGreater(blocks, 6)

    def test_the_row_before_scores_a_position(self):
        ids, places, copies, answer = self.batch
        rows = block_causal.scoring_rows(places, self.BLOCK)
        for row, position in answer.nonzero().tolist():
            before, first = rows[row, position], places[row, position] % self.BLOCK == 0
            self.assertEqual(places[row, before], places[row, position] - 1)
            self.assertEqual(copies[row, before], block_causal.CLEAN if first else copies[row, position])

    def test_every_answer_ends_once(self):
        ids, _, copies, answer = self.batch
        end, pad = self.tok.special["<|im_end|>"], self.tok.special["<|endoftext|>"]
        for copy, (_, expected) in enumerate(self.TURNS, 1):
            tokens = ids[0][(copies[0] == copy) & answer[0]].tolist()
            length = tokens.index(end)
            self.assertEqual(self.tok.decode(tokens[:length]), expected)
            self.assertEqual(set(tokens[length + 1:]) - {pad}, set())

    def test_decoding_fills_parts_from_left_to_right_until_the_end(self):
        prompt = list(range(1, 2 * self.BLOCK + 4))
        for length, part, threshold in ((21, 8, 0.0), (21, 4, 1.0), (2, 8, 0.5)):
            response, passes = block_causal.decode(self.model, prompt, None, (0, 0), length, self.BLOCK, part, threshold)
            written = [position for step in passes for position, _ in step]
            known = length if self.model.cfg["eos_token_id"] not in response else response.index(self.model.cfg["eos_token_id"])
            self.assertEqual(len(written), len(set(written)))
            self.assertTrue(set(range(known)) <= set(written))
            self.assertTrue(all(len({(position + len(prompt)) // part for position, _ in step}) == 1 for step in passes))
            if threshold in (0.0, 1.0):
                self.assertEqual(threshold == 1.0, all(len(step) == 1 for step in passes))


if __name__ == "__main__":
    unittest.main()
