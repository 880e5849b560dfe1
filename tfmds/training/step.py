"""One step of training: a batch becomes new weights and figures."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfmds.models.batch_norm import BatchNormalization
from tfmds.models.two_stream import split_at_embeddings
from tfmds.training import strategies
from tfmds.training.fused_batch_norm import with_fused_batch_norm


@dataclasses.dataclass(frozen=True)
class Term:
    """One term of the loss.

    Attributes:
      output: Of the network, which it judges.
      loss: Of each chunk by its label, 1 real, 0 fake.
      weight: In the sum.
      label: Which label of a batch; chunks where it is -1 weigh nothing.
      class_weights: float `[2]`, weight of a fake and of a real chunk; None for 1.
    """

    output: str
    loss: keras.losses.Loss
    weight: float
    label: str = "label"
    class_weights: tf.Tensor | None = None

    def of(self, labels: Mapping[str, tf.Tensor], outputs: Any) -> tf.Tensor:
        """The mean over a batch, float `[]`."""
        label = labels[self.label]
        known = tf.maximum(label, 0)
        # Called as they are, Keras' losses divide by the number of replicas.
        loss = self.loss.call(known, outputs[self.output])
        if self.class_weights is not None:
            loss *= tf.gather(self.class_weights, known)
        return tf.reduce_mean(tf.where(label >= 0, loss, 0.0))


# By name.
Terms = Mapping[str, Term]
# Of a network: from its inputs to what may be gathered from replicas, and the rest.
Split = Callable[[keras.Model], tuple[keras.Model, keras.Model]]


def make(
    model: keras.Model,
    terms: Terms,
    strategy: tf.distribute.Strategy,
    split: Split = split_at_embeddings,
) -> Callable[[Any], dict[str, tf.Tensor]]:
    """Makes the function that trains on a batch and returns its figures by tag.

    Each replica takes its rows of the batch through the streams. Embeddings are then
    gathered, and what follows, mismatches between any two rows included, is done on
    the whole batch by each replica alike. With batch norms over all replicas the
    losses are those of one process.

    Args:
      model: The network with its optimizer.
      terms: The loss.
      strategy: Over what to spread it.
      split: Where the network is parted, as `split_at_embeddings` does.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas > 1:
        for layer in model.layers:
            if isinstance(layer, BatchNormalization):
                layer.synchronized = True
                layer.replicas = replicas
    streams, heads = split(model)
    inputs = tuple(model.input)
    if replicas == 1:
        streams = with_fused_batch_norm(streams)
    variables = model.trainable_variables

    def replica_step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            embeddings = streams({name: batch[name] for name in inputs}, training=True)
            labels = {
                name: strategies.gather(values)
                for name, values in batch.items()
                if name not in inputs
            }
            embeddings = [strategies.gather(x) for x in keras.tree.flatten(embeddings)]
            outputs = heads(embeddings, training=True)
            figures = {name: term.of(labels, outputs) for name, term in terms.items()}
            total = tf.add_n(
                [term.weight * figures[name] for name, term in terms.items()]
            )
            # The optimizer adds up the replicas' gradients.
            objective = model.optimizer.scale_loss(total / replicas)
        rate = model.optimizer.learning_rate
        gradients = tape.gradient(objective, variables)
        model.optimizer.apply(gradients, variables)
        return {
            "loss/total": total,
            **{f"loss/{name}": value for name, value in figures.items()},
            "learning_rate": tf.convert_to_tensor(rate),
            "batch/share_of_real": tf.reduce_mean(tf.cast(labels["label"], tf.float32)),
        }

    if replicas == 1 and tf.config.list_physical_devices("GPU"):
        # On a CPU XLA makes this network several times slower.
        replica_step = tf.function(replica_step, jit_compile=True, autograph=False)

    @tf.function(autograph=False)
    def step(batch: Any) -> dict[str, tf.Tensor]:
        figures = strategy.run(replica_step, (batch,))
        # They are the same on each replica.
        return {
            name: strategy.experimental_local_results(value)[0]
            for name, value in figures.items()
        }

    return step


def place_dropout(model: keras.Model, step: int) -> None:
    """Lets the dropout of a run that goes on draw what it would have drawn."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate:
            # The seed, and how often it was drawn from.
            state = layer.seed_generator.state
            state.assign([keras.ops.convert_to_numpy(state)[0], step])
