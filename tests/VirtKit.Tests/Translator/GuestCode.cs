using System.Buffers.Binary;
using VirtKit.Accel.Translator;
using VirtKit.RiscV;

namespace VirtKit.Tests.Translator;

/// <summary>A machine on the translator with hand-assembled words at the start of its memory.</summary>
internal static class GuestCode
{
    public const ulong Start = 0x8000_0000;

    public static Machine Load(MachineOptions options, params ReadOnlySpan<uint> words)
    {
        Translators.Require();
        var machine = new Machine(options);
        machine.Memory.MapRam(new Gpa(Start), 0x10_0000);
        Write(machine, Start, words);
        foreach (Vcpu vcpu in machine.Vcpus)
        {
            RiscVState state = vcpu.GetState<RiscVState>();
            state.Pc = Start;
            state.Started = true;
            vcpu.SetState(state);
        }

        return machine;
    }

    public static MachineOptions Options(int vcpus = 1, int cacheSize = 64 << 20) => new()
    {
        Architecture = new RiscVArchitecture(),
        Engine = new TranslatorEngine(new TranslatorOptions { CodeCacheSize = cacheSize }),
        VcpuCount = vcpus,
        Scheduling = vcpus == 1 ? VcpuScheduling.Deterministic : VcpuScheduling.Threads,
    };

    public static void Write(Machine machine, ulong address, params ReadOnlySpan<uint> words)
    {
        byte[] bytes = new byte[words.Length * 4];
        for (int i = 0; i < words.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4 * i), words[i]);
        machine.Memory.Write(new Gpa(address), bytes);
    }

    public static ulong X(this Machine machine, int register, int vcpu = 0) => machine.Vcpus[vcpu].GetState<RiscVState>().X[register];
}
