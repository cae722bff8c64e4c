using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>The cycle and instret counters: retired instructions, moved by what software wrote, standing still while inhibited (RV-Priv §3.1.10-3.1.12).</summary>
internal sealed unsafe partial class Hart
{
    private const ulong CycleInhibit = 1, InstretInhibit = 4;

    public ulong Cycle
    {
        get => ReadCounter(CycleInhibit, State.Mcycle);
        set => WriteCounter(CycleInhibit, ref State.Mcycle, value, afterThis: 1);
    }

    public ulong Instret
    {
        get => ReadCounter(InstretInhibit, State.Minstret);
        set => WriteCounter(InstretInhibit, ref State.Minstret, value, afterThis: 1);
    }

    public void WriteInhibit(ulong value)
    {
        ulong cycle = Cycle, instret = Instret;
        State.Mcountinhibit = Warl.CounterInhibit(value);
        WriteCounter(CycleInhibit, ref State.Mcycle, cycle, afterThis: 0);
        WriteCounter(InstretInhibit, ref State.Minstret, instret, afterThis: 0);
    }

    private ulong ReadCounter(ulong inhibit, ulong kept) => (State.Mcountinhibit & inhibit) != 0 ? kept : Context->Retired + kept;

    /// <param name="inhibit">The counter's bit of mcountinhibit.</param>
    /// <param name="kept">The value itself while inhibited, otherwise its distance from <see cref="CpuContext.Retired"/>.</param>
    /// <param name="value">The value to write.</param>
    /// <param name="afterThis">1 for a write by an instruction: it shows from the next one on, and its own retirement does not count.</param>
    private void WriteCounter(ulong inhibit, ref ulong kept, ulong value, ulong afterThis) =>
        kept = (State.Mcountinhibit & inhibit) != 0 ? value : value - Context->Retired - afterThis;
}
