"""TensorFlow's `tf.train.Example` without TensorFlow, which takes seconds to import.

The same fields with the same numbers
(tensorflow/core/example/feature.proto and example.proto), so the same bytes.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tfmds.data"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _message_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="tfmds/data/example.proto", package=_PACKAGE, syntax="proto3"
    )

    def field(
        message: descriptor_pb2.DescriptorProto,
        name: str,
        number: int,
        kind: "int | str",
        repeated: bool = False,
    ) -> descriptor_pb2.FieldDescriptorProto:
        label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
        if isinstance(kind, str):
            return message.field.add(
                name=name,
                number=number,
                label=label,
                type=_FIELD.TYPE_MESSAGE,
                type_name=f".{_PACKAGE}.{kind}",
            )
        return message.field.add(name=name, number=number, label=label, type=kind)

    lists = (
        ("BytesList", _FIELD.TYPE_BYTES),
        ("FloatList", _FIELD.TYPE_FLOAT),
        ("Int64List", _FIELD.TYPE_INT64),
    )
    for name, kind in lists:
        field(file.message_type.add(name=name), "value", 1, kind, repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, _) in enumerate(lists, start=1):
        of_kind = name.replace("List", "_list").lower()
        field(feature, of_kind, number, name).oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    field(entry, "key", 1, _FIELD.TYPE_STRING)
    field(entry, "value", 2, "Feature")
    field(features, "feature", 1, "Features.FeatureEntry", repeated=True)
    field(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{_PACKAGE}.Example")
    )


Example = _message_class()
