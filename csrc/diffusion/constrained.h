/* Candidates under a constraint: all of one iteration lie on one path that fits it. */
#ifndef DIMPLE_CONSTRAINED_H
#define DIMPLE_CONSTRAINED_H

#include "backend/backend.h"
#include "constraint/lattice.h"
#include "diffusion/canvas.h"
#include "diffusion/sampler.h"

typedef struct constrained constrained;

/* For the response [length] as it was set, masks and fixed tokens, `part` of a longer one or null. `initial` [length] receives it with the positions filled in for which
 * one token is left. Errors: as dimple_session_set_constraint. */
dimple_status constrained_create(dimple_constraint *constraint, const int32_t *response, int32_t length, const lattice_part *part,
                                 int32_t mask_token, int32_t vocab, int32_t *initial, constrained **out);
void constrained_free(constrained *g); /* null is allowed */

int64_t constrained_bytes(const constrained *g); /* of memory it takes, without the constraint; null is allowed */

/* A decoding begins: the path of the last one is forgotten. */
void constrained_restart(constrained *g);

/* Takes the canvas as it is, before rows are scored: its masked positions are free, whatever is shown there. Errors: ARGUMENT (it agrees with nothing
 * that fits). */
dimple_status constrained_look(constrained *g, const canvas *c);

/* The same of a canvas that is refused if it agrees with nothing that fits: then the one before is to be looked at next, and the latest path stays. */
dimple_status constrained_try(constrained *g, const canvas *c);

/* Whether something that fits agrees with a canvas that may come. The one that does is to be looked at next; the latest path stays until then. */
bool constrained_fits(constrained *g, const canvas *c);

/* Whether filters choose among the tokens that can stand at a position. */
bool constrained_filters(const dimple_decoding *d);

/* What the head is to keep of `count` positions, nothing of fixed ones, as room that lasts until the next call. `rest`: the same for a head without ends,
 * where confidences are to be taken from that; null: there is none. Errors: MEMORY. */
dimple_status constrained_ask(constrained *g, const int32_t *positions, int32_t count, head_classes *out, head_classes *rest);

/* Takes what the head, called with the decoding's temperature, has kept since constrained_ask, and the rows' summaries; `judged`: those that confidences are
 * taken from, which are the same ones or a head's without ends. */
void constrained_take(constrained *g, const sampler_step *step, const head_row *summaries, const head_row *judged, const int32_t *positions, int32_t count);

/* The same where the decoding filters, from lists of the highest logits among the wanted classes, which are undefined afterwards. Where a list does not show
 * what the filters keep, undecided[i] is set, and the row is for constrained_rows. Errors: MEMORY. */
dimple_status constrained_take_lists(constrained *g, const sampler_step *step, const head_row *summaries, const head_row *judged, head_list *list,
                                     const int32_t *positions, int32_t count, bool *undecided);

/* The temperature that the head is to be called with, for constrained_rows' summaries. */
float constrained_head_temperature(const dimple_decoding *d);

/* Takes `count` scored rows: logits [count x vocab] and their summaries, of masked positions[count]. Errors: MEMORY. */
dimple_status constrained_rows(constrained *g, const sampler_step *step, const head_row *summaries, const float *logits, int32_t count,
                               const int32_t *positions);

/* What stands at a position on the best path, and on one that is drawn; of positions that are fixed, their tokens. */
typedef struct path_guess {
  int32_t best, drawn;
  float log_probability; /* of the token drawn, in softmax(logits) */
  float entropy;         /* of softmax(logits / temperature), in nats, where `allowed_confidence`: among the tokens that can stand there */
} path_guess;

/* Of positions [count] that are denoised: paths through what the head has kept since constrained_ask, at that temperature. Afterwards the latest path is the best
 * one. */
void constrained_guess(constrained *g, const dimple_decoding *d, float temperature, int32_t iteration, const head_row *summaries, const int32_t *positions,
                       int32_t count, path_guess *out);

/* Whether a token ends the response, or stands behind its end. */
bool constrained_ends(const constrained *g, int32_t token);

/* After all rows: finds the path, and writes its tokens at positions[count], and how sure the model is of each. */
void constrained_candidates(constrained *g, const sampler_step *step, const int32_t *positions, int32_t count, candidate *out);

/* What candidates of positions[count] on that path have become, when what was added to logits is taken back: a completion by this path says the same of them. */
void constrained_amend(constrained *g, const int32_t *positions, int32_t count, const candidate *path);

/* Makes -inf of the logits [vocabulary] of tokens that cannot stand at a masked position of the canvas that constrained_look took last. */
void constrained_forbid(constrained *g, int32_t position, float *logits);

/* The one token that is left for a masked position of the canvas that constrained_look took last; -1 if there are several. */
int32_t constrained_forced(constrained *g, int32_t position);

/* An assignment of all masked positions of the canvas that fits: writes candidates [masked_count], on the latest path where there is
 * one, as sure as they were when it was found. Takes the canvas as constrained_look does. Errors: as there. */
dimple_status constrained_completion(constrained *g, const canvas *c, const dimple_decoding *d, candidate *out);

#endif
