/* Iterations whose decisions the caller takes: it is shown candidates, and says what is revealed. */
#ifndef DIMPLE_CALLER_H
#define DIMPLE_CALLER_H

#include "diffusion/iteration.h"

/* The first half of an iteration whose decision the caller takes: candidates of all masked positions, in blocks of those of the block. Their
 * tokens, confidences and log-probabilities stand in the room in the order of c->masked. Errors: UNSUPPORTED (an algorithm that masks again
 * what it has revealed), STATE (recorded draws), MEMORY, CANCELLED. */
dimple_status caller_look(iteration *it, pass *p, const canvas *c);

/* Behind the first half, or behind iteration_run: as dimple_session_alternatives. Errors: STATE, ARGUMENT, MEMORY, CANCELLED, MODEL. */
dimple_status caller_alternatives(iteration *it, pass *p, const canvas *c, int32_t count, int32_t *tokens, float *log_probability);

/* The second half: reveals positions [count], ascending ones of those offered, as tokens. Errors: STATE (caller_look has not been), ARGUMENT (a
 * position or token, or what no response that fits the constraint agrees with); nothing changes then. */
dimple_status caller_reveal(iteration *it, pass *p, canvas *c, const int32_t *positions, const int32_t *tokens, int32_t count);

#endif
