namespace VirtKit.State;

/// <summary>A moment of a deterministic run between two slices: the same one in every run with the same input.</summary>
/// <param name="Instructions">How many instructions of all vCPUs have retired.</param>
/// <param name="Skips">How often idle time was skipped: timers that fire while all vCPUs wait come behind the same instruction.</param>
internal readonly record struct RunMoment(ulong Instructions, ulong Skips) : IComparable<RunMoment>
{
    public int CompareTo(RunMoment other) => Instructions != other.Instructions ? Instructions.CompareTo(other.Instructions) : Skips.CompareTo(other.Skips);

    public override string ToString() => $"instruction {Instructions}" + (Skips == 0 ? "" : $", skip {Skips}");
}
