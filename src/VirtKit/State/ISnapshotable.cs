namespace VirtKit.State;

/// <summary>A part of a machine that has state: an <see cref="IDevice"/> with this capability can be saved and restored. The state is what the guest can see, and what decides
/// what it sees later.</summary>
/// <remarks>
/// <para>The order of names is the format: <see cref="StateWriter"/> writes them so, <see cref="StateReader"/> demands them so. A field that comes later is guarded by
/// <see cref="StateVisitor.Version"/>.</para>
/// <para>Called while the machine stands, under the device's gate. A restore sets the device's timers, and its lines to the levels that the state gives them. Memory is
/// restored behind all parts, so that a restore that is refused changes nothing: a part does not look at it while it is read.</para>
/// </remarks>
public interface ISnapshotable
{
    /// <summary>Names every field of the state, once for both directions. Where it reads, all values are checked before the first one is kept.</summary>
    /// <param name="visitor">Takes the values, or gives others.</param>
    /// <exception cref="InvalidSnapshotException">A value that this part cannot have. It has not changed.</exception>
    void Visit(StateVisitor visitor);
}
