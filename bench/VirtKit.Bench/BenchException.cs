namespace VirtKit.Bench;

/// <summary>A measurement that cannot be made or that would be worthless; the message is for the user.</summary>
internal sealed class BenchException(string message) : Exception(message);
