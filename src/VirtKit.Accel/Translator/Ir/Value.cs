namespace VirtKit.Accel.Translator.Ir;

/// <summary>A value while recording: the position of the op that makes it.</summary>
internal readonly record struct Value(short Index);
